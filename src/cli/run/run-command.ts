import { Command } from "commander";
import { UsageError } from "../errors";
import type { RunEnvironment } from "./run-environment";
import { addMonitorOption, addRunOptions } from "./run-options";
import type { RecordedRun, RunOptions } from "./run-plan";
import { startRun } from "./start-run";

const AFTER_HELP = `
Everything behind "--" goes to QEMU unchanged. Without "--", QEMU's arguments are "args" of [QEMU] in the configuration.

Exit status: 0 the guest shut down, or the time limit was reached; 1 arguments or scripts that do not work, or a guest
that panicked; 70 a fault of the engine; 128 + n ended by signal n (130 for Ctrl-C; a second Ctrl-C ends at once).

Example: rebox run --script scripts/my_script.ts --timeout 60 -- -m 512 -hda disk.qcow2`;

/**
 * Creates the command `rebox run`.
 *
 * @param environment the engine and the process
 * @param qemuArgs the words behind "--"; undefined when there is no "--"
 * @param onStatus receives the exit status
 * @param args rebox's own arguments, `run` first, for the process behind the UI
 */
export function createRunCommand(
  environment: RunEnvironment,
  qemuArgs: readonly string[] | undefined,
  onStatus: (status: number) => void,
  args: readonly string[] = [],
): Command {
  const command = new Command("run")
    .summary("boot a guest and run scripts in it")
    .description("Boots a guest in QEMU inside this process and runs scripts that watch and steer it.")
    .usage("[options] [--] [QEMU-ARGS...]")
    .argument("[misplaced...]")
    .helpOption("-h, --help", "show this help");
  return addMonitorOption(addRunOptions(command))
    .option("--record <folder>", "record the guest into a new folder, to be replayed: see rebox record")
    .option("--golden <folder>", "with --record: begin from the golden state of a lab in that folder")
    .addHelpText("after", AFTER_HELP)
    .configureHelp({ visibleArguments: () => [] })
    .showHelpAfterError('(QEMU\'s own arguments go behind "--"; see rebox run --help)')
    .action(
      async (misplaced: string[], options: RunOptions & { readonly record?: string; readonly golden?: string }) => {
        if (misplaced.length > 0) {
          throw new UsageError(`"${misplaced[0]}" is no option of rebox run; QEMU's arguments go behind "--"`);
        }
        const { createRunPlan } = await import("./run-plan.js");
        const plan = createRunPlan(options, qemuArgs, environment.projectFolder);
        const { record, golden } = options;
        if (golden !== undefined && record === undefined) throw new UsageError("--golden needs --record FOLDER");
        const recorded = record === undefined ? undefined : await createRecording(record, plan.qemuArgs, golden);
        onStatus(await startRun(options, recorded ? { ...plan, recorded } : plan, environment, { args, qemuArgs }));
      },
    );
}

async function createRecording(
  folder: string,
  qemuArgs: readonly string[],
  golden: string | undefined,
): Promise<RecordedRun> {
  const { RecordingRun } = await import("../record/recording-run.js");
  return new RecordingRun(folder, qemuArgs, golden);
}
