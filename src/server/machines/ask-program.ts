import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { getProjectFolder } from "../../config/folders";

const PROGRAM = join(getProjectFolder(), "build/js/src/cli/main.js");
/** The longest answer, in bytes. */
const LONGEST_ANSWER = 16 << 20;

/** A question that a command of rebox answers. */
export interface ProgramQuestion {
  /** Behind `rebox`. */
  readonly words: readonly string[];
  /** The folder that it works in. */
  readonly cwd: string;
  /** The lines of its standard input; without it, that is empty. */
  readonly input?: string;
  /** After so long it is asked to end, in milliseconds. */
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
 */
export async function askProgram(
  { words, cwd, input, limitMs }: ProgramQuestion,
  children: Set<ChildProcess>,
): Promise<ProgramAnswer> {
  const child = spawn(process.execPath, [...process.execArgv, PROGRAM, ...words], { cwd, stdio: ["pipe", "pipe", "pipe"] }); // prettier-ignore
  children.add(child);
  const late = setTimeout(() => child.kill("SIGTERM"), limitMs);
  try {
    // It may end before it has read all of it.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input ?? "");
    const [output, messages] = [collect(child.stdout, child), collect(child.stderr, child)];
    const [status] = (await once(child, "close")) as [number | null];
    return { status, output: await output, messages: await messages };
  } finally {
    clearTimeout(late);
    children.delete(child);
  }
}

async function collect(stream: NodeJS.ReadableStream, child: ChildProcess): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LONGEST_ANSWER) child.kill("SIGTERM");
    else chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
