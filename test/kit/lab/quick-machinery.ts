import { join } from "node:path";

/** What each machine of the machinery is: a shell behind a socket, which says when it is there. */
const MACHINE = `
  const { spawn } = require("node:child_process");
  const { createServer } = require("node:net");
  createServer((socket) => {
    const shell = spawn("sh", ["-i"]);
    // There is no terminal that would do it.
    socket.setEncoding("latin1").on("data", (text) => shell.stdin.write(text.replaceAll("\\r", "\\n")));
    for (const stream of [shell.stdout, shell.stderr]) stream.on("data", (bytes) => socket.write(bytes));
    socket.on("error", () => socket.destroy());
    shell.on("exit", () => process.exit(0));
    socket.on("close", () => {
      shell.removeAllListeners("exit");
      shell.kill("SIGKILL");
    });
  }).listen(process.argv[1]);
`;

/**
 * A machinery whose machines are there at once: shells of this host. Its functions wait as long as there is a file hold.FUNCTION in
 * the machine's folder, and fail when there is a file fail.FUNCTION.
 */
const MODULE = `
  import { spawn } from "node:child_process";
  import { once } from "node:events";
  import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
  import { connect } from "node:net";
  import { join } from "node:path";
  import type { Duplex } from "node:stream";
  import { type LabMachine, Machinery, MachineryError, type MachineState } from "rebox/lab";

  export class QuickMachinery extends Machinery {
    readonly name = "quick";
    override readonly needsAddress = false;
    override readonly startsAtOnce = true;

    async restoreStart(machine: LabMachine): Promise<void> {
      const socket = join(this.context.getFolder(machine), "quick.sock");
      rmSync(socket, { force: true });
      const child = spawn(process.execPath, ["-e", ${JSON.stringify(MACHINE)}, socket], { detached: true, stdio: "ignore" });
      child.unref();
      writeFileSync(this.file(machine), String(child.pid));
      while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 5));
      await this.step("restoreStart", machine);
    }

    async stop(machine: LabMachine): Promise<void> {
      await this.step("stop", machine);
      const pid = this.findPid(machine);
      if (pid !== undefined) process.kill(pid, "SIGKILL");
      for (const name of ["pid", "quick.sock"]) rmSync(join(this.context.getFolder(machine), name), { force: true });
    }

    async state(machine: LabMachine): Promise<MachineState> {
      return this.findPid(machine) === undefined ? "poweroff" : "running";
    }

    override async dumpMemory(machine: LabMachine, path: string): Promise<void> {
      await this.step("dumpMemory", machine);
      writeFileSync(path, "memory");
    }

    override async openConsole(machine: LabMachine, signal: AbortSignal): Promise<Duplex> {
      await this.step("openConsole", machine);
      const socket = connect(join(this.context.getFolder(machine), "quick.sock"));
      await once(socket, "connect", { signal });
      return socket;
    }

    private async step(what: string, machine: LabMachine): Promise<void> {
      const folder = this.context.getFolder(machine);
      if (existsSync(join(folder, "fail." + what))) throw new MachineryError("the test says so: " + what);
      if (!existsSync(join(folder, "hold." + what))) return;
      writeFileSync(join(folder, "held." + what), "");
      while (existsSync(join(folder, "hold." + what))) await new Promise((resolve) => setTimeout(resolve, 10));
    }

    private findPid(machine: LabMachine): number | undefined {
      try {
        const pid = Number(readFileSync(this.file(machine), "utf8"));
        return / [ZX] /.test(readFileSync("/proc/" + pid + "/stat", "utf8")) ? undefined : pid;
      } catch {
        return undefined;
      }
    }

    private file(machine: LabMachine): string {
      return join(this.context.getFolder(machine), "pid");
    }
  }
`;

/** Returns the files of a lab with quick machines. */
export function quickLab(...names: readonly string[]): Record<string, string> {
  const machines = names.map((name) => `  ${name}:\n    platform: linux\n`).join("");
  return {
    [join("modules/machinery", "quick.ts")]: MODULE,
    "conf/machineries/quick.yaml": `machines:\n${machines}`,
  };
}
