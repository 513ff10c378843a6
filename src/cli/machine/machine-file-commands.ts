import type { Command } from "commander";
import { relative, resolve } from "node:path";
import type { NewValues } from "../../lab/machinery/config/edit-machines";
import { MachineryManagerError } from "../../lab/errors";
import { findNearestName } from "../../config/nearest-name";
import { splitList } from "../../config/schema/setting-list";
import type { Machinery } from "../../lab/machinery/machinery";
import { ExitStatus } from "../exit-status";
import { getLabFolder } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";
import { UsageError } from "../errors";
import type { Doors } from "../../scripts/loading/doors";

interface LabOption {
  readonly lab?: string;
}

/** Creates the commands that change which machines there are: add, import and delete. */
export function createMachineFileCommands(
  define: (name: string, summary: string) => Command,
  environment: RunEnvironment,
  onStatus: (status: number) => void,
): Command[] {
  const { stdout } = environment;
  /** Something of what was asked for was not done, and has been told. */
  let failed = false;
  const edit = async (
    options: LabOption,
    name: string,
    change: (machinery: Machinery, lab: string) => Promise<string>,
  ) => {
    try {
      const folder = resolve(getLabFolder(options));
      failed = false;
      stdout.write(`${await change(await getMachinery(folder, name, environment.getApi()), folder)}\n`);
      onStatus(failed ? ExitStatus.failure : ExitStatus.success);
    } catch (error) {
      throw error instanceof MachineryManagerError ? new UsageError(error.message) : error;
    }
  };
  const add = define("add", "add a machine to a machinery's configuration")
    .argument("<machinery>")
    .argument("<name>")
    .argument("<settings...>", "each as key=value")
    .option("--tags <tags>", "with commas between them; \\, is one in a tag")
    .action((machinery: string, name: string, pairs: string[], options: LabOption & { tags?: string }) =>
      edit(options, machinery, async (found, lab) => {
        const { addMachine } = await import("../../lab/machinery/config/edit-machines.js");
        const file = addMachine(found, lab, name, parseSettings(pairs, options.tags));
        return `${name} is in ${relative("", file)}`;
      }),
    );
  const bring = define("import", "add the machines of a folder: each in one of its own, with a machineinfo.json")
    .argument("<machinery>")
    .argument("<path>")
    .argument("[names...]", "only these")
    .action((machinery: string, path: string, names: string[], options: LabOption) =>
      edit(options, machinery, async (found, lab) => {
        const { addMachine } = await import("../../lab/machinery/config/edit-machines.js");
        const { findMachinesToImport } = await import("../../lab/machinery/config/import-machines.js");
        const { machines, errors } = findMachinesToImport(resolve(path), names);
        if (machines.length + errors.length === 0) throw new MachineryManagerError(`there is no machine in ${path}`);
        const imported: string[] = [];
        const problems = errors.map(({ message }) => message);
        for (const { name, values } of machines) {
          try {
            addMachine(found, lab, name, values);
            imported.push(name);
          } catch (error) {
            if (!(error instanceof MachineryManagerError)) throw error;
            problems.push(`${name} is not imported: ${error.message}`);
          }
        }
        if (imported.length === 0) throw new MachineryManagerError(problems.join("\n"));
        for (const problem of problems) environment.stderr.write(`rebox: ${problem}\n`);
        if (problems.length > 0) failed = true;
        return `imported ${imported.join(", ")}`;
      }),
    );
  const remove = define("delete", "remove machines from a machinery's configuration")
    .argument("<machinery>")
    .argument("<names...>")
    .action((machinery: string, names: string[], options: LabOption) =>
      edit(options, machinery, async (found, lab) => {
        const { deleteMachines } = await import("../../lab/machinery/config/edit-machines.js");
        deleteMachines(found, lab, names);
        return `deleted ${names.join(", ")}`;
      }),
    );
  return [add, bring, remove];
}

/** Parses key=value; a value may have further "=". @throws UsageError */
function parseSettings(pairs: readonly string[], tags: string | undefined): NewValues {
  const values: Record<string, string | readonly string[]> = {};
  for (const pair of pairs) {
    const [, key, value] = /^([\w.]+)=(.*)$/s.exec(pair) ?? [];
    if (key === undefined || value === undefined) {
      throw new UsageError(`${JSON.stringify(pair)}: each setting must be key=value`);
    }
    if (key === "tags") throw new UsageError("give tags by --tags a,b");
    if (values[key] !== undefined) throw new UsageError(`${key} is given twice`);
    values[key] = value;
  }
  if (tags !== undefined) values.tags = splitList(tags).items;
  return values;
}

async function getMachinery(folder: string, name: string, api: Doors): Promise<Machinery> {
  const { findMachineries } = await import("../../lab/find-machineries.js");
  const { machineries } = await findMachineries(folder, api);
  const machinery = machineries.get(name);
  if (machinery !== undefined) return machinery;
  const known = [...machineries.keys()];
  const nearest = findNearestName(name, known);
  const hint = nearest === undefined ? `known are ${known.join(", ")}` : `did you mean ${nearest}?`;
  throw new MachineryManagerError(`there is no machinery ${name}; ${hint}`);
}
