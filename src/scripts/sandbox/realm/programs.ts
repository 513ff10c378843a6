import type { Buffer } from "buffer/";
import { ask } from "./messages";

interface ProgramResult {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

interface ProgramOptions {
  readonly input?: string | Uint8Array;
  readonly encoding?: string;
}

function toOutput(result: ProgramResult, options: ProgramOptions | undefined) {
  const text = (bytes: Uint8Array) => {
    const encoding = options?.encoding;
    return encoding === undefined || encoding === "buffer" ? bytes : (bytes as Buffer).toString(encoding as "utf8");
  };
  return { ...result, stdout: text(result.stdout), stderr: text(result.stderr) };
}

/** The part of node:child_process that a script with the permission child_process has. */
export const programs = {
  /** The guest stands still meanwhile. */
  spawnSync: (file: string, args: readonly string[] = [], options?: ProgramOptions) =>
    toOutput(ask("program.runSync", String(file), args, options?.input) as ProgramResult, options),
  execFileSync: (file: string, args: readonly string[] = [], options?: ProgramOptions) => {
    const result = ask("program.runSync", String(file), args, options?.input) as ProgramResult;
    if (result.status !== 0) throw new Error(`${file} ended with ${result.status ?? result.signal}`);
    return toOutput(result, options).stdout;
  },
  execFile: (
    file: string,
    args: readonly string[],
    callback?: (error: Error | null, stdout: string, stderr: string) => void,
  ) => {
    const done = (async () => {
      const result = toOutput((await ask("program.run", String(file), args)) as ProgramResult, { encoding: "utf8" });
      const error = result.status === 0 ? null : new Error(`${file} ended with ${result.status ?? result.signal}`);
      return { error, stdout: String(result.stdout), stderr: String(result.stderr) };
    })();
    done.then(
      ({ error, stdout, stderr }) => callback?.(error, stdout, stderr),
      (error: Error) => callback?.(error, "", ""),
    );
  },
};
