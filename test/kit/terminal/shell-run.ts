import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ControlClient } from "../../../src/shell/line/control-client";
import { connectWhenListening } from "../clients/control-client";
import { getMachineArgs } from "../guests/guest-args";
import { type GuestRunOptions, readTruth, runRebox } from "../guests/guest-run";

/** A guest under `rebox run --control`, with a shell attached. */
export interface ShellRun {
  readonly socket: string;
  readonly client: ControlClient;
  /** Runs a line and returns its data; fails the test when the line fails. */
  data<Data>(line: string): Promise<Data>;
  text(line: string): Promise<string>;
  /** Runs a line that is to fail, and returns its message. */
  error(line: string): Promise<string>;
  /** Waits for a fact that the guest prints about itself. */
  truth(key: string): Promise<ReadonlyMap<string, string>>;
}

export type ShellOptions = Pick<
  GuestRunOptions,
  "task" | "boots" | "parameters" | "qemuArgs" | "reboxArgs" | "script" | "kit" | "trust" | "env" | "timeoutMs"
>;

/** Runs the guest kit with a control socket, attaches a shell, and ends both when the test is done. */
export async function withShell(
  options: ShellOptions,
  use: (run: ShellRun) => Promise<void>,
): Promise<{ readonly status: number | null; readonly stderr: string; readonly stdout: string }> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-shell-"));
  const serial = join(folder, "serial.txt");
  const socket = join(folder, "control");
  writeFileSync(serial, "");
  const args = ["run", "--control", socket, ...(options.reboxArgs ?? [])];
  if (options.kit?.profile !== undefined) {
    // A kernel that does not describe itself has a profile, which the configuration names.
    writeFileSync(join(folder, "guest.conf"), `[VOL]\nprofile: ${options.kit.profile}\n`);
    args.push("-c", join(folder, "guest.conf"));
  }
  if (options.script) {
    writeFileSync(join(folder, "script.ts"), options.script(serial));
    args.push(...(options.trust === false ? [] : ["--trust"]), "--script", join(folder, "script.ts"));
  }
  args.push("--", ...(await getMachineArgs(folder, options)));
  try {
    const ended = runRebox(args, options.timeoutMs ?? 300_000, undefined, options.env);
    // Its failure is reported below; meanwhile it is nobody's.
    ended.catch(() => undefined);
    while (!existsSync(socket))
      await Promise.race([sleep(20), ended.then(({ stderr }) => Promise.reject(new Error(stderr)))]);
    const client = await connectWhenListening(socket);
    const answer = async (line: string) => {
      const result = await client.run(line);
      if (result.error !== undefined) throw new Error(`${line}: ${result.error}`);
      return result;
    };
    try {
      await use({
        ...{ socket, client },
        data: async <Data>(line: string) => (await answer(line)).data as Data,
        text: async (line) => (await answer(line)).text,
        error: async (line) => (await client.run(line)).error ?? "",
        truth: async (key) => {
          for (;;) {
            const truth = readTruth(readFileSync(serial, "latin1"));
            if (truth.has(key)) return truth;
            await sleep(20);
          }
        },
      });
    } finally {
      await client.run("quit machine");
      client.close();
    }
    return await ended;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
