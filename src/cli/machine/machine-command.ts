import { resolve } from "node:path";
import { Command } from "commander";
import type { Lab } from "../../lab/lab";
import type { ActionName } from "../../lab/machinery/manager/action";
import type { RequestOptions } from "../../lab/machinery/manager/machine-manager";
import { ExitStatus } from "../exit-status";
import { createLabOption, getLabFolder } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";
import { createGoldenCommands } from "./golden-commands";
import { createMachineFileCommands } from "./machine-file-commands";

interface LabOption {
  readonly lab?: string;
}

/**
 * Creates the command `rebox machine`.
 *
 * @param onStatus receives the exit status: 1 when a machine could not be brought to where it was to go
 */
export function createMachineCommand(environment: RunEnvironment, onStatus: (status: number) => void): Command {
  const { stdout, stderr } = environment;

  const use = async (options: LabOption, run: (lab: Lab, signal: AbortSignal) => Promise<number>) => {
    const { withLab } = await import("./machine-session.js");
    onStatus(await withLab(getLabFolder(options), environment, run));
  };

  /** Has the manager carry out an action, and says how it ended; `failed` begins the sentence about a failure. */
  const perform = async (
    lab: Lab,
    name: string,
    action: ActionName,
    options: RequestOptions,
    failed = `${action} of ${name} failed`,
  ) => {
    const { success, reason, state } = await lab.manager.request(action, name, options);
    const why = reason === undefined ? "" : `: ${reason}`;
    if (success) stdout.write(`${name} is ${state}${why}\n`);
    else stderr.write(`rebox: ${failed}${why}\n`);
    return success ? ExitStatus.success : ExitStatus.failure;
  };

  const act = (options: LabOption, name: string, action: ActionName, request: Omit<RequestOptions, "signal"> = {}) =>
    use(options, async (lab, signal) => {
      lab.checkHasMachines();
      lab.manager.machines.get(name);
      return perform(lab, name, action, { ...request, signal });
    });

  const define = (name: string, summary: string, description = `${summary[0]!.toUpperCase()}${summary.slice(1)}.`) =>
    new Command(name)
      .summary(summary)
      .description(description)
      .helpOption("-h, --help", "show this help")
      .addOption(createLabOption());

  const list = define("list", "list the machines and what they do")
    .option("--json", "print one JSON array")
    .action((options: LabOption & { json?: boolean }) =>
      use(options, async (lab, signal) => {
        const { addMachineryFacts, readRows, renderRows } = await import("./machine-rows.js");
        const rows = await readRows(lab, [], signal);
        if (!options.json) stdout.write(`${renderRows(rows)}\n`);
        else stdout.write(`${JSON.stringify(await addMachineryFacts(lab, rows, signal), null, 2)}\n`);
        return ExitStatus.success;
      }),
    );
  const start = define("start", "start a machine from its snapshot")
    .argument("<name>")
    .option("--no-restore", "start it without its snapshot")
    .action((name: string, options: LabOption & { restore: boolean }) =>
      use(options, async (lab, signal) => {
        lab.checkHasMachines();
        lab.manager.machines.get(name);
        await lab.recheck(signal);
        // A person at the prompt can simply be told; a program asking the manager would have lost track.
        const found = await lab.manager.readState(name, signal).catch(() => undefined);
        if (found !== undefined && found.state !== "poweroff") {
          stderr.write(`rebox: ${name} is ${found.state}; stop it first: rebox machine stop ${name}\n`);
          return ExitStatus.failure;
        }
        const action = options.restore ? "restoreStart" : "norestoreStart";
        return perform(lab, name, action, { signal }, `${name} could not be started`);
      }),
    );
  const stop = define("stop", "end a machine")
    .argument("<name>")
    .option("--acpi", "ask its system to shut down; end it when it does not")
    .action((name: string, options: LabOption & { acpi?: boolean }) =>
      act(options, name, options.acpi ? "acpiStop" : "stop"),
    );
  const state = define("state", "tell what a machine does")
    .argument("<name>")
    .action((name: string, options: LabOption) =>
      use(options, async (lab, signal) => {
        lab.manager.machines.get(name);
        const { readRows } = await import("./machine-rows.js");
        const [row] = await readRows(lab, [name], signal);
        stdout.write(`${row!.state}${row!.note === "" ? "" : ` (${row!.note})`}\n`);
        return row!.state === "unknown" ? ExitStatus.failure : ExitStatus.success;
      }),
    );
  const dump = define("dump", "write a machine's memory to a file")
    .argument("<name>")
    .argument("<file>", "which does not exist yet")
    .action((name: string, file: string, options: LabOption) =>
      act(options, name, "dumpMemory", { path: resolve(file) }),
    );
  const screenshot = define("screenshot", "write what a machine shows to a PNG file")
    .argument("<name>")
    .argument("<file>", "which does not exist yet")
    .action((name: string, file: string, options: LabOption) =>
      act(options, name, "screenshot", { path: resolve(file) }),
    );
  const pause = define("pause", "let a machine stand still")
    .argument("<name>")
    .action((name: string, options: LabOption) => act(options, name, "pause"));
  const resume = define("resume", "let a machine go on that was paused")
    .argument("<name>")
    .action((name: string, options: LabOption) => act(options, name, "resume"));
  const enable = define("enable", "put a machine back into the pool")
    .argument("<name>")
    .action((name: string, options: LabOption) =>
      use(options, async (lab) => {
        lab.manager.enable(name);
        stdout.write(`${name} is in the pool again\n`);
        return ExitStatus.success;
      }),
    );
  const disable = define("disable", "take a machine out of the pool")
    .argument("<name>")
    .argument("<reason>")
    .action((name: string, reason: string, options: LabOption) =>
      use(options, async (lab) => {
        lab.manager.disable(name, reason);
        stdout.write(`${name} is out of the pool\n`);
        return ExitStatus.success;
      }),
    );
  const command = new Command("machine")
    .summary("start, stop and configure the machines of a lab")
    .description("Works on the machines of a lab.")
    .helpOption("-h, --help", "show this help");
  const golden = createGoldenCommands(define, use, environment);
  const all = [list, start, ...golden, stop, state, dump, screenshot, pause, resume, enable, disable];
  for (const each of [...all, ...createMachineFileCommands(define, environment, onStatus)]) command.addCommand(each);
  return command;
}
