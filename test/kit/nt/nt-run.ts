import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connectWhenListening } from "../clients/control-client";
import { runRebox } from "../guests/guest-run";
import { buildNtKernel, ntArgs, type NtOptions, type NtTruth, readNtTruth } from "./nt-kernel";

/** The test kernel under `rebox run --control`, with a shell attached. */
export interface NtRun {
  /** The folder of its images and symbols. */
  readonly folder: string;
  /** Runs a line of the shell and returns its data; fails the test when the line fails. */
  data<Data>(line: string): Promise<Data>;
  text(line: string): Promise<string>;
  /** Runs a line that is to fail, and returns its message. */
  error(line: string): Promise<string>;
  /** Reads what the kernel has said. */
  truth(): readonly NtTruth[];
  /** Waits until the kernel's script holds for the nth time, from 1. */
  untilHold(nth: number): Promise<void>;
  /** Lets the kernel go on behind its hold. */
  release(): Promise<void>;
  /** Waits until the guest has gone off by itself. */
  untilEnd(): Promise<void>;
}

export interface NtRunOptions extends NtOptions {
  /** A script of rebox, given the folder of the run. */
  readonly rebox?: (folder: string) => string;
  /** Whether the script runs outside the sandbox; it does by default. */
  readonly trust?: boolean;
  /** Of the script in the sandbox, as "fs:results"; none by default. */
  readonly permissions?: string;
  /** Whether rebox has the symbol files; it has by default. */
  readonly hasSymbols?: boolean;
}

/** What a run leaves: what it printed, and the kernel's words. */
export interface NtOutcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly truth: readonly NtTruth[];
  /** What the script has written to `seen.json` in the folder of the run; undefined for nothing. */
  readonly seen: unknown;
}

/** Boots the test kernel with a shell, and ends both when the test is done. */
export async function withNt(options: NtRunOptions, use: (run: NtRun) => Promise<void>): Promise<NtOutcome> {
  const kernel = buildNtKernel(options.layout);
  const place = mkdtempSync(join(tmpdir(), "rebox-nt-"));
  const [serial, socket] = [join(place, "serial.txt"), join(place, "control")];
  writeFileSync(serial, "");
  const args = ["run", "--control", socket];
  if (options.rebox) {
    writeFileSync(join(place, "script.ts"), options.rebox(place));
    args.push(...(options.trust === false ? [] : ["--trust"]), "--script", join(place, "script.ts"));
  }
  if (options.permissions !== undefined) {
    writeFileSync(join(place, "pyrebox.conf"), `[PERMISSIONS]\nscript: ${options.permissions}\n`);
    args.push("-c", join(place, "pyrebox.conf"));
  }
  args.push("--", ...ntArgs(kernel, place, serial, options));
  // Its own folder of symbols, so that nothing of the user's is found.
  const env = { XDG_DATA_HOME: place, _NT_SYMBOL_PATH: options.hasSymbols === false ? "" : kernel.folder };
  const truth = (): NtTruth[] => readNtTruth(readFileSync(serial, "latin1"));
  try {
    const ended = runRebox(args, 240_000, undefined, env);
    ended.catch(() => undefined);
    const fail = ended.then(({ stderr, stdout }) => Promise.reject(new Error(`rebox has ended: ${stderr}${stdout}`)));
    fail.catch(() => undefined);
    while (!existsSync(socket)) await Promise.race([sleep(20), fail]);
    const client = await connectWhenListening(socket);
    const answer = async (line: string) => {
      const result = await client.run(line);
      if (result.error !== undefined) throw new Error(`${line}: ${result.error}`);
      return result;
    };
    let gate = 0;
    try {
      await use({
        folder: kernel.folder,
        data: async <Data>(line: string) => (await answer(line)).data as Data,
        text: async (line) => (await answer(line)).text,
        error: async (line) => (await client.run(line)).error ?? "",
        truth,
        untilHold: async (nth) => {
          while (truth().filter(({ event }) => event === "hold").length < nth) await Promise.race([sleep(20), fail]);
        },
        release: async () => void (await answer(`ed kernel!TestGate=${++gate}`)),
        untilEnd: async () => void (await ended),
      });
    } finally {
      // The guest may have gone off, and rebox with it.
      await client.run("quit machine").catch(() => undefined);
      client.close();
    }
    const { status, stdout, stderr } = await ended;
    const written = join(place, "seen.json");
    const seen: unknown = existsSync(written) ? JSON.parse(readFileSync(written, "utf8")) : undefined;
    return { status, stdout, stderr, truth: truth(), seen };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
