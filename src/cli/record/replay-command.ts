import { Command, InvalidArgumentError } from "commander";
import type { RunEnvironment } from "../run/run-environment";
import { addRunOptions } from "../run/run-options";
import type { RunOptions } from "../run/run-plan";
import { type RunWords, startRun } from "../run/start-run";
import { checkSocketPath } from "../run/sockets";
import { UsageError } from "../errors";
import { readWatchedPlace, type WatchedPlace } from "./watched-place";

const AFTER_HELP = `
Everything that only looks on works as in a running guest: callbacks, breakpoints, streams, the shell, memory dumps. What would
change the guest is refused (REBOX_RECORDED). The shell goes to any instruction, also back: goto COUNT, reverse-step, last written.

Exit status: 0 the recording was replayed; 1 it cannot be, or a file of it has changed; 70 the replay departed from it.

Example: rebox replay recordings/one --script scripts/syscalls.ts
         rebox replay recordings/one --when-written p1a2b000:8
         rebox replay recordings/one --at 250000000 --ui`;

/** The options of `rebox replay`. */
type ReplayCommandOptions = RunOptions & {
  readonly stay?: boolean;
  readonly at?: number;
  readonly whenWritten?: readonly WatchedPlace[];
  readonly whenRead?: readonly WatchedPlace[];
  readonly whenExecuted?: readonly WatchedPlace[];
  readonly from?: number;
  readonly to?: number;
  readonly jobs?: number;
  readonly states?: number;
  readonly console?: string;
  readonly gdb?: string;
  readonly goLive?: boolean;
};

/** The memory for states of a replay that somebody looks at, in MB. */
const DEFAULT_STATES_MB = 1000;
const MOST_STATES_MB = 1_000_000;

/**
 * Creates the command `rebox replay`.
 *
 * @param words the command line
 * @param onStatus receives the exit status
 */
export function createReplayCommand(
  environment: RunEnvironment,
  words: RunWords,
  onStatus: (status: number) => void,
): Command {
  const command = new Command("replay")
    .summary("replay a recording, and look at it with scripts or the shell")
    .description("Replays what rebox record has recorded: the guest executes the same instructions, whatever looks on.")
    .usage("FOLDER [options]")
    .argument("<folder>", "the recording")
    .helpOption("-h, --help", "show this help")
    .option("--stay", "keep the guest, paused, where the recording ends; with a shell it always is")
    .option("--at <count>", "pause at that many instructions, in decimal; implies --stay", readCount)
    .option(
      "--when-written <address>",
      "tell who writes that memory, and when: ADDRESS[:SIZE], or pADDRESS for guest-physical",
      collect("written"),
    )
    .option("--when-read <address>", "tell who reads that memory, and when", collect("read"))
    .option("--when-executed <address>", "tell who executes that code, and when", collect("executed"))
    .option("--from <count>", "tell of these places from that count on", readCount)
    .option("--to <count>", "end at that count", readCount)
    .option("--jobs <number>", "so many processes look for memory that is written or read, each in a part", readJobs)
    .option("--states <mb>", "memory for states to go back to (1000 with a shell, else 0)", readMegabytes)
    .option(
      "--gdb <socket>",
      "wait, paused, for gdb on that unix socket: target remote SOCKET; implies --stay",
      (path) => checkSocketPath(path, "--gdb"),
    )
    .option("--go-live", "leave the recording there (--at), or where it ends: the guest lives on and may be changed")
    .option("--console <file>", "write what the guest says on its first serial line into a file");
  return addRunOptions(command)
    .addHelpText("after", AFTER_HELP)
    .action(async (folder: string, options: ReplayCommandOptions) => {
      const { createRunPlan } = await import("../run/run-plan.js");
      const { ReplayRun } = await import("./replay-run.js");
      const plan = createRunPlan(options, [], environment.projectFolder);
      const hasShell = options.shell === true || options.ui === true || plan.controlSocket !== undefined;
      const goesLive = options.goLive === true;
      const isPaused = options.at !== undefined || options.gdb !== undefined || goesLive;
      const stays = options.stay === true || hasShell || isPaused;
      const places = [...(options.whenWritten ?? []), ...(options.whenRead ?? []), ...(options.whenExecuted ?? [])];
      const { jobs, from = 0, to } = options;
      const isPart = from !== 0 || to !== undefined;
      if (isPart && (stays || places.length === 0)) {
        throw new UsageError("--from and --to are of a question: --when-written, --when-read or --when-executed, and no shell, --stay, --at, --gdb or --go-live"); // prettier-ignore
      }
      if (to !== undefined && to <= from) throw new UsageError(`--to ${to} is not behind --from ${from}`);
      if (!isPart && places.length > 0 && !stays && isQuestionAlone(options)) {
        const { answerInParts } = await import("./question-run.js");
        const status = await answerInParts({ folder, places, jobs }, environment);
        if (status !== undefined) return onStatus(status);
      }
      const recorded = new ReplayRun(folder, {
        ...{ stays, goesLive, places, from, isMute: places.length > 0 && !stays },
        ...(to === undefined ? {} : { to }),
        ...(jobs === undefined ? {} : { jobs }),
        ...(options.at === undefined ? {} : { at: options.at }),
        ...(options.gdb === undefined ? {} : { gdbSocket: options.gdb }),
        statesMb: options.states ?? (stays && !goesLive ? DEFAULT_STATES_MB : 0),
        ...(options.console === undefined ? {} : { console: options.console }),
      });
      onStatus(await startRun(options, { ...plan, recorded }, environment, words));
    });
}

/** Collects the places of an option that may be given more than once. */
function collect(what: WatchedPlace["what"]) {
  return (text: string, places: readonly WatchedPlace[] = []) => [...places, readWatchedPlace(what, text)];
}

/** Whether a question is all that a replay is for: nothing else looks on, and its answer is text. */
function isQuestionAlone({
  script = [],
  investigate = [],
  json,
  console,
  states,
  timeout,
}: ReplayCommandOptions): boolean {
  return script.length + investigate.length === 0 && [json, console, states, timeout].every((one) => one === undefined);
}

/** Reads a number of processes. */
function readJobs(text: string): number {
  if (!/^[1-9]\d?$/.test(text)) throw new InvalidArgumentError("It must be a whole number from 1 to 99.");
  return Number(text);
}

/** Reads a count of instructions. */
function readCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("It must be a count of instructions, in decimal.");
  return Number(text);
}

/** Reads a size in MB. */
function readMegabytes(text: string): number {
  const size = Number(text);
  if (!/^\d+$/.test(text) || size > MOST_STATES_MB) {
    throw new InvalidArgumentError(`It must be a whole number of MB from 0 to ${MOST_STATES_MB}.`);
  }
  return size;
}
