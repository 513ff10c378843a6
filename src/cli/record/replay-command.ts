import { Command } from "commander";
import type { RunEnvironment } from "../run/run-environment";
import { addRunOptions } from "../run/run-options";
import type { RunOptions } from "../run/run-plan";
import { type RunWords, startRun } from "../run/start-run";

const AFTER_HELP = `
Everything that only looks on works as in a running guest: callbacks, breakpoints, streams, the shell, memory dumps. What would
change the guest is refused (REBOX_RECORDED). The shell's goto COUNT lets the replay go on to an instruction.

Exit status: 0 the recording was replayed; 1 it cannot be, or a file of it has changed; 70 the replay departed from it.

Example: rebox replay recordings/one --script scripts/syscalls.ts`;

/** The options of `rebox replay`. */
type ReplayCommandOptions = RunOptions & { readonly stay?: boolean; readonly console?: string };

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
    .option("--console <file>", "write what the guest says on its first serial line into a file");
  return addRunOptions(command)
    .addHelpText("after", AFTER_HELP)
    .action(async (folder: string, options: ReplayCommandOptions) => {
      const { createRunPlan } = await import("../run/run-plan.js");
      const { ReplayRun } = await import("./replay-run.js");
      const plan = createRunPlan(options, [], environment.projectFolder);
      const hasShell = options.shell === true || options.ui === true || plan.controlSocket !== undefined;
      const stays = options.stay === true || hasShell;
      const recorded = new ReplayRun(folder, {
        stays,
        ...(options.console === undefined ? {} : { console: options.console }),
      });
      onStatus(await startRun(options, { ...plan, recorded }, environment, words));
    });
}
