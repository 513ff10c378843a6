import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { getProjectFolder } from "../../config/folders";
import { BusyError } from "../errors";

const PROGRAM = join(getProjectFolder(), "build/js/src/cli/main.js");
/** The longest answer, in bytes. */
const LONGEST_ANSWER = 16 << 20;
/** One that is asked to end has so long before it is asked more urgently, in milliseconds. */
const GRACE_MS = 10_000;
/** A second signal ends rebox at once; what does not even hear that is killed. */
const SIGNALS = ["SIGTERM", "SIGTERM", "SIGKILL"] as const;

/** A question that a command of rebox answers. */
export interface ProgramQuestion {
  /** Behind `rebox`. */
  readonly words: readonly string[];
  /** The folder that it works in. */
  readonly cwd: string;
  /** The lines of its standard input; without it, that is empty. */
  readonly input?: string;
  /** After so long it is asked to end, in milliseconds; 20 s later it is killed. */
  readonly limitMs: number;
}

/** The answer of a command of rebox. */
export interface ProgramAnswer {
  /** The exit status; null when a signal has ended it. */
  readonly status: number | null;
  readonly output: string;
  /** Of standard error. */
  readonly messages: string;
}

/**
 * Has a command of rebox answer a question, in a process of its own.
 *
 * @param children has the process as long as it lives
 * @throws BusyError when no process can be started now
 */
export async function askProgram(
  { words, cwd, input, limitMs }: ProgramQuestion,
  children: Set<ChildProcess>,
): Promise<ProgramAnswer> {
  const child = spawn(process.execPath, [...process.execArgv, PROGRAM, ...words], { cwd, stdio: ["pipe", "pipe", "pipe"] }); // prettier-ignore
  // Without memory or descriptors there is none; the event comes later.
  child.on("error", () => undefined);
  if (child.pid === undefined) throw new BusyError("no process can be started now; try again in 10 seconds");
  children.add(child);
  const timers = SIGNALS.map((signal, at) => setTimeout(() => child.kill(signal), limitMs + at * GRACE_MS));
  try {
    // It may end before it has read all of it.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input ?? "");
    const closed = once(child, "close") as Promise<[number | null]>;
    const [[status], output, messages] = await Promise.all([closed, collect(child.stdout, child), collect(child.stderr, child)]); // prettier-ignore
    return { status, output, messages };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    children.delete(child);
  }
}

async function collect(stream: NodeJS.ReadableStream, child: ChildProcess): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const isFull = length > LONGEST_ANSWER;
    length += chunk.length;
    if (length <= LONGEST_ANSWER) chunks.push(chunk);
    // Once: a second signal would end it at once.
    else if (!isFull) child.kill("SIGTERM");
  }
  return Buffer.concat(chunks).toString("utf8");
}
