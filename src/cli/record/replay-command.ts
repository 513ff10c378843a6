import { Command, InvalidArgumentError } from "commander";
import type { RunEnvironment } from "../run/run-environment";
import { addRunOptions } from "../run/run-options";
import type { RunOptions } from "../run/run-plan";
import { type RunWords, startRun } from "../run/start-run";
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
  readonly whenExecuted?: readonly WatchedPlace[];
  readonly states?: number;
  readonly console?: string;
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
    .option("--when-executed <address>", "tell who executes that code, and when", collect("executed"))
    .option("--states <mb>", "memory for states to go back to (1000 with a shell, else 0)", readMegabytes)
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
      const isPaused = options.at !== undefined || goesLive;
      const stays = options.stay === true || hasShell || isPaused;
      const recorded = new ReplayRun(folder, {
        ...{ stays, goesLive },
        places: [...(options.whenWritten ?? []), ...(options.whenExecuted ?? [])],
        ...(options.at === undefined ? {} : { at: options.at }),
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
