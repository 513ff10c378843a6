import { join } from "node:path";

/** What each machine of the machinery is: a shell behind a socket, which says when it is there, and a screen of four pixels behind another. */
const MACHINE = `
  const { spawn } = require("node:child_process");
  const { appendFileSync, existsSync, rmSync, writeFileSync } = require("node:fs");
  const { createServer } = require("node:net");
  process.chdir(process.argv[1]);
  createServer((socket) => {
    const shell = spawn("sh", ["-i"]);
    writeFileSync("taken", "");
    // There is no terminal that would do it.
    socket.setEncoding("latin1").on("data", (text) => shell.stdin.write(text.replaceAll("\\r", "\\n")));
    for (const stream of [shell.stdout, shell.stderr]) stream.on("data", (bytes) => {
      appendFileSync("console.log", bytes);
      socket.write(bytes);
    });
    socket.on("error", () => socket.destroy());
    shell.on("exit", () => process.exit(0));
    socket.on("close", () => {
      shell.removeAllListeners("exit");
      shell.kill("SIGKILL");
      rmSync("taken", { force: true });
    });
  }).listen("quick.sock");
  // A test that is cut off stops no machine: each ends by itself when its lab is gone, and after a quarter of an hour.
  setTimeout(() => process.exit(0), 900000);
  setInterval(() => existsSync("screen.sock") || process.exit(0), 5000);
  // RFC 6143: the handshake, and one picture for each request; keys and the pointer's moves are written down.
  const format = Buffer.from([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]);
  const init = Buffer.concat([Buffer.from([0, 2, 0, 2]), format, Buffer.from([0, 0, 0, 5]), Buffer.from("quick")]);
  const picture = Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 0]), Buffer.alloc(16, 0x7f)]);
  createServer((socket) => {
    const answers = [Buffer.from([1, 1]), Buffer.alloc(4), init];
    let rest = Buffer.alloc(0);
    let stage = 0;
    socket.write("RFB 003.008\\n");
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      for (;;) {
        const lengths = { 0: 20, 2: rest.length < 4 ? NaN : 4 + 4 * rest.readUInt16BE(2), 3: 10, 4: 8, 5: 6 };
        const length = [12, 1, 1][stage] ?? lengths[rest[0]];
        if (!(rest.length >= length)) return;
        const message = rest.subarray(0, length);
        rest = rest.subarray(length);
        if (stage < 3) socket.write(answers[stage++]);
        else if (message[0] === 3) setTimeout(() => socket.write(picture), 50);
        else if (message[0] > 3) appendFileSync("typed", message.toString("hex") + "\\n");
      }
    });
  }).listen("screen.sock");
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
      const folder = this.context.getFolder(machine);
      const socket = join(folder, "screen.sock");
      if (this.findPid(machine) !== undefined) throw new MachineryError(machine.name + " runs already: it is in use twice");
      for (const name of ["quick.sock", "screen.sock", "taken"]) rmSync(join(folder, name), { force: true });
      const child = spawn(process.execPath, ["-e", ${JSON.stringify(MACHINE)}, folder], { detached: true, stdio: "ignore" });
      child.unref();
      writeFileSync(this.file(machine), String(child.pid));
      while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 5));
      await this.step("restoreStart", machine);
    }

    async stop(machine: LabMachine): Promise<void> {
      await this.step("stop", machine);
      const pid = this.findPid(machine);
      if (pid !== undefined) process.kill(pid, "SIGKILL");
      for (const name of ["pid", "quick.sock", "screen.sock", "taken"]) rmSync(join(this.context.getFolder(machine), name), { force: true });
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

    override async isConsoleTaken(machine: LabMachine): Promise<boolean> {
      return existsSync(join(this.context.getFolder(machine), "taken"));
    }

    override findConsoleLog(machine: LabMachine): string | undefined {
      const file = join(this.context.getFolder(machine), "console.log");
      return existsSync(file) ? file : undefined;
    }

    override async openScreen(machine: LabMachine, signal: AbortSignal): Promise<Duplex> {
      const socket = connect(join(this.context.getFolder(machine), "screen.sock"));
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
