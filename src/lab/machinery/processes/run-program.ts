import { execFile } from "node:child_process";
import { MachineryConnectionError, MachineryDependencyError, ProgramError } from "../../errors";

export interface ProgramOptions {
  readonly signal: AbortSignal;
  /** After which it is killed. */
  readonly timeoutMs: number;
  /** The package to install when the program is missing. */
  readonly packageName: string;
  readonly cwd?: string;
}

/**
 * Runs a program to its end; no shell is involved. Its messages are in English, in every language of the user.
 *
 * @returns what it wrote to standard output
 * @throws MachineryDependencyError when there is no such program
 * @throws MachineryConnectionError when it takes too long; it is killed then
 * @throws ProgramError with its standard error
 */
export function runProgram(program: string, args: readonly string[], options: ProgramOptions): Promise<string> {
  const { signal, timeoutMs, packageName, cwd } = options;
  const shown = [program, ...args].join(" ");
  const env = { ...process.env, LC_ALL: "C" };
  const limits = { timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: 16 << 20 } as const;
  return new Promise((resolve, reject) => {
    execFile(
      program,
      args,
      { ...limits, signal, env, ...(cwd === undefined ? {} : { cwd }) },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        const { code } = error as NodeJS.ErrnoException;
        if (code === "ENOENT" || code === "EACCES") {
          const why = code === "ENOENT" ? "is not there" : "may not be executed";
          return reject(new MachineryDependencyError(`${program} ${why}; install it: apt install ${packageName}`));
        }
        if (error.killed || error.name === "AbortError") {
          return reject(
            new MachineryConnectionError(`"${shown}" was still busy after ${timeoutMs / 1000} s, or cancelled`),
          );
        }
        const said = stderr.trim() || stdout.trim() || error.message;
        reject(new ProgramError(`"${shown}" failed: ${said}`, stderr));
      },
    );
  });
}
