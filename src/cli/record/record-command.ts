import { Command } from "commander";
import { UsageError } from "../errors";
import type { RunEnvironment } from "../run/run-environment";
import { addRunOptions } from "../run/run-options";
import type { RunOptions } from "../run/run-plan";
import { type RunWords, startRun } from "../run/start-run";

const AFTER_HELP = `
QEMU's arguments are those of rebox run; recorder, counting of instructions, overlays over disks and filters of networks are
added. What cannot be recorded is refused by name. Scripts may watch, and keys may be sent: they are recorded.

Exit status: as of rebox run; 1 also when the recording could not be written to its end.

Example: rebox record -o recordings/one -- -m 512 -hda disk.qcow2 -nic user`;

const GOLDEN_HELP = "begin from the golden state of a lab in that folder, whose machine QEMU's arguments are";

/**
 * Creates the command `rebox record`.
 *
 * @param words the command line
 * @param onStatus receives the exit status
 */
export function createRecordCommand(
  environment: RunEnvironment,
  words: RunWords,
  onStatus: (status: number) => void,
): Command {
  const command = new Command("record")
    .summary("boot a guest and record what it does, to be replayed")
    .description(
      "Boots a guest as rebox run does, and records what comes to it from outside, so that it can be replayed exactly.",
    )
    .usage("-o FOLDER [options] -- QEMU-ARGS...")
    .argument("[misplaced...]")
    .helpOption("-h, --help", "show this help")
    .requiredOption("-o, --output <folder>", "the folder of the recording, which is made")
    .option("--golden <folder>", GOLDEN_HELP);
  return addRunOptions(command)
    .addHelpText("after", AFTER_HELP)
    .configureHelp({ visibleArguments: () => [] })
    .showHelpAfterError('(QEMU\'s own arguments go behind "--"; see rebox record --help)')
    .action(
      async (misplaced: string[], options: RunOptions & { readonly output: string; readonly golden?: string }) => {
        if (misplaced.length > 0) {
          throw new UsageError(`"${misplaced[0]}" is no option of rebox record; QEMU's arguments go behind "--"`);
        }
        const { createRunPlan } = await import("../run/run-plan.js");
        const { RecordingRun } = await import("./recording-run.js");
        const plan = createRunPlan(options, words.qemuArgs, environment.projectFolder);
        const recorded = new RecordingRun(options.output, plan.qemuArgs, options.golden);
        onStatus(await startRun(options, { ...plan, recorded }, environment, words));
      },
    );
}
