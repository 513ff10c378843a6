import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { VolatilityError } from "../errors";

/** Longer output ends the program, in characters. */
const LONGEST_OUTPUT = 256 * 1024 * 1024;
/** The part of standard error that is kept, in characters: its end says what went wrong. */
const KEPT_ERRORS = 64 * 1024;

export interface ProgramOptions {
  /** Added to the environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** After which it is ended; 0 for no limit. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** An open file that it gets as its descriptor 3. */
  readonly descriptor?: number;
  /** Called with what it writes to standard error. */
  readonly onErrorText?: (text: string) => void;
}

export interface ProgramEnd {
  /** Null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  /** The end of it. */
  readonly stderr: string;
}

/** The programs that run now, which end with this process. */
class RunningPrograms {
  readonly #programs = new Set<ChildProcess>();
  #isWatching = false;

  add(child: ChildProcess): void {
    this.#programs.add(child);
    if (!this.#isWatching) process.on("exit", () => this.#programs.forEach(endGroup));
    this.#isWatching = true;
  }

  delete(child: ChildProcess): void {
    this.#programs.delete(child);
  }
}

const running = new RunningPrograms();

/**
 * Runs a program to its end. It is in a process group of its own, which is ended with it: what it has started goes too, also
 * when this process ends.
 *
 * @throws VolatilityError when it cannot be started, takes too long, is cancelled, or writes too much
 */
export function runProgram(command: readonly string[], options: ProgramOptions): Promise<ProgramEnd> {
  const { timeoutMs, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled(signal));
    const child = start(command, options);
    let failure: VolatilityError | undefined;
    const end = (error: VolatilityError): void => {
      failure ??= error;
      endGroup(child);
    };
    const onAbort = (): void => end(cancelled(signal as AbortSignal));
    signal?.addEventListener("abort", onAbort, { once: true });
    const tooLate = (): void => end(new VolatilityError("timeout", `it did not end within ${timeoutMs / 1000} s`));
    const timer = timeoutMs > 0 ? setTimeout(tooLate, timeoutMs) : undefined;
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      running.delete(child);
    };
    const output = collect(child, options, end);
    child.on("error", (error) => {
      settle();
      reject(failure ?? new VolatilityError("broken", error.message));
    });
    // Children that it leaves behind would hold the guest's memory open, and its output.
    child.on("exit", () => endGroup(child));
    child.on("close", (status, endedBy) => {
      settle();
      if (failure) reject(new VolatilityError(failure.reason, failure.message, output().stderr));
      else resolve({ status, signal: endedBy, ...output() });
    });
  });
}

function start([program, ...args]: readonly string[], { env, descriptor }: ProgramOptions): ChildProcess {
  const stdio: StdioOptions = ["ignore", "pipe", "pipe", ...(descriptor === undefined ? [] : [descriptor])];
  const child = spawn(program as string, args, { env: { ...process.env, ...env }, stdio, detached: true });
  running.add(child);
  return child;
}

function collect(
  child: ChildProcess,
  { onErrorText }: ProgramOptions,
  end: (error: VolatilityError) => void,
): () => Pick<ProgramEnd, "stdout" | "stderr"> {
  const pieces: string[] = [];
  let size = 0;
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    size += text.length;
    if (size <= LONGEST_OUTPUT) pieces.push(text);
    else end(new VolatilityError("output", `it wrote more than ${LONGEST_OUTPUT >> 20} MiB`));
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-KEPT_ERRORS);
    onErrorText?.(text);
  });
  return () => ({ stdout: pieces.join(""), stderr });
}

function cancelled({ reason }: AbortSignal): VolatilityError {
  return reason instanceof VolatilityError ? reason : new VolatilityError("cancelled", "it was cancelled");
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}
