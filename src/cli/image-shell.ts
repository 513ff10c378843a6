import type { Doors } from "../scripts/loading/doors";
import { configureGuest, getSystem } from "../guest/guest";
import { openImage } from "../guest/images/open-image";
import { CommandSession } from "../shell/commands/command-session";
import { runLineShell, showAnswer } from "../shell/line/line-shell";
import { createLocalTarget } from "../shell/line/session-target";
import { AttachError, ImageError } from "../systems/errors";
import { UsageError } from "./errors";
import { ExitStatus } from "./exit-status";

const MIB = 0x100000;
const NOTICE_MS = 1000;

/** The options of `rebox shell`. */
export interface ImageShellOptions {
  readonly image: string;
  readonly profile?: string;
  readonly json?: boolean;
}

/** The surroundings of a shell on a memory image. */
export interface ImageShellStreams {
  readonly getInput: () => NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** The names that !EXPRESSION can use. */
  readonly api: Doors;
}

/**
 * Opens a memory image and answers lines about it.
 *
 * @param lines the lines of the command line; without any, those of the input are read
 * @returns the exit status: 1 when a line that was given failed
 * @throws UsageError when the image cannot be opened
 */
export async function runImageShell(
  lines: readonly string[],
  { image, profile, json = false }: ImageShellOptions,
  { getInput, stdout, stderr, api }: ImageShellStreams,
): Promise<number> {
  configureGuest({ profile });
  const isTerminal = (stdout as Partial<NodeJS.WriteStream>).isTTY === true;
  const what = await open(image, stderr);
  if (isTerminal && lines.length === 0 && !json) stdout.write(`${what}\n${describeGuest()}\n`);
  const session = new CommandSession(api);
  const target = createLocalTarget(session);
  try {
    if (lines.length === 0) await runLineShell(target, { input: getInput(), output: stdout, json });
    for (const line of lines) {
      const answer = await target.run(line);
      (answer.error === undefined || json ? stdout : stderr).write(showAnswer(answer, json));
      if (answer.error !== undefined) return ExitStatus.failure;
    }
  } finally {
    session.close();
  }
  return ExitStatus.success;
}

async function open(path: string, stderr: NodeJS.WritableStream): Promise<string> {
  let told = performance.now();
  const onProgress = (done: number, total: number): void => {
    if (performance.now() - told < NOTICE_MS) return;
    told = performance.now();
    stderr.write(`rebox: expanding, ${Math.floor((done / total) * 100)} %\n`);
  };
  try {
    const { format, memorySize, cpuCount } = await openImage(path, { onProgress });
    const registers = cpuCount === 0 ? "no registers" : `the registers of ${cpuCount} vCPU${cpuCount === 1 ? "" : "s"}`;
    return `${path}: ${Math.round(memorySize / MIB)} MiB of memory, ${format}, ${registers}`;
  } catch (error) {
    if (error instanceof ImageError) throw new UsageError(error.message);
    throw error;
  }
}

function describeGuest(): string {
  try {
    return getSystem().version;
  } catch (error) {
    if (error instanceof AttachError) return error.message;
    throw error;
  }
}
