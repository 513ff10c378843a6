import { Command } from "commander";
import { CommandSession } from "../../shell/commands/command-session";
import { useProfile } from "../../guest/guest";
import { openImage } from "../../guest/images/open-image";
import { AttachError, ImageError } from "../../systems/errors";
import { getGuest } from "../../guest/guest";
import { runLineShell, showAnswer } from "../../shell/line/line-shell";
import { createLocalTarget } from "../../shell/line/session-target";
import { ExitStatus } from "../exit-status";
import { UsageError } from "../usage-error";

const MIB = 0x100000;
const NOTICE_MS = 1000;

interface Options {
  readonly image: string;
  readonly profile?: string;
  readonly json?: boolean;
}

/**
 * Creates the command `rebox shell`.
 *
 * @param input where the lines come from when none are given
 * @param getApi gets what !EXPRESSION has at hand
 * @param onStatus receives the exit status: 1 when a line that was given failed
 */
export function createShellCommand(
  input: NodeJS.ReadableStream,
  stdout: NodeJS.WritableStream,
  stderr: NodeJS.WritableStream,
  getApi: () => object,
  onStatus: (status: number) => void,
): Command {
  return new Command("shell")
    .summary("open a shell on a memory image")
    .description(
      "Opens a shell on a memory image, or carries out the given lines there: an ELF core (of rebox, QEMU or kdump), a LiME image or raw memory, each also compressed by zstd. For a guest that runs: rebox attach.",
    )
    .argument("[lines...]", 'lines of the shell, each one argument: "ps" "dq kernel!init_task:4"')
    .requiredOption("--image <file>", "the memory image")
    .option("--profile <file>", "a profile for a kernel that does not describe itself")
    .option("--json", "answer each line by one line of JSON")
    .helpOption("-h, --help", "show this help")
    .action(async (lines: string[], { image, profile, json = false }: Options) => {
      if (profile !== undefined) useProfile(profile);
      const isTerminal = (stdout as Partial<NodeJS.WriteStream>).isTTY === true;
      const what = await open(image, stderr);
      if (isTerminal && lines.length === 0 && !json) stdout.write(`${what}\n${describeGuest()}\n`);
      const session = new CommandSession(getApi());
      const target = createLocalTarget(session);
      try {
        if (lines.length === 0) return await runLineShell(target, { input, output: stdout, json });
        for (const line of lines) {
          const answer = await target.run(line);
          (answer.error === undefined || json ? stdout : stderr).write(showAnswer(answer, json));
          if (answer.error !== undefined) return onStatus(ExitStatus.failure);
        }
      } finally {
        session.close();
      }
    });
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
    return getGuest().kernel.banner;
  } catch (error) {
    if (error instanceof AttachError) return error.message;
    throw error;
  }
}
