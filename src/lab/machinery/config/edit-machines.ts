import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { examineSetting } from "../../../config/schema/settings-schema";
import { MachineryManagerError } from "../../errors";
import type { Machinery } from "../machinery";
import { writeWhole } from "../records/machine-file";
import { addToIni, deleteFromIni } from "./edit-ini";
import { addToYaml, deleteFromYaml, type NewSetting } from "./edit-yaml";
import { getMachineSchema, MACHINE_NAME } from "./machine-settings";
import { findIniFiles, getYamlFile, readMachineryConfig } from "./read-machinery-config";
import { describeSetting, renderYamlTemplate } from "./template";

/** Settings of a new machine, by their names. */
export type NewValues = Readonly<Record<string, string | readonly string[]>>;

/**
 * Adds a machine to a machinery's configuration file, which is made where there is none. Nothing is written when a setting
 * is wrong.
 *
 * @throws MachineryManagerError saying what is wrong
 */
export function addMachine(machinery: Machinery, labFolder: string, name: string, values: NewValues): string {
  if (!MACHINE_NAME.test(name)) {
    throw new MachineryManagerError(`${JSON.stringify(name)} is no name for a machine: letters, digits, _ . -`);
  }
  return edit(machinery, labFolder, (text, isIni) => {
    const schema = getMachineSchema(machinery, isIni);
    const key = machinery.labelKey;
    const all = isIni && key !== undefined && values[key] === undefined ? { [key]: name, ...values } : values;
    const settings = Object.entries(all).map(([setting, value]): NewSetting => {
      const known =
        schema[setting] ?? Object.values(schema).find((each) => examineSetting(each).meta.aliases?.includes(setting));
      return { name: setting, value, comment: known === undefined ? "" : describeSetting(known) };
    });
    return isIni ? addToIni(text, machinery.name, name, settings) : addToYaml(text, name, settings);
  });
}

/** Removes machines from a machinery's configuration file. */
export function deleteMachines(machinery: Machinery, labFolder: string, names: readonly string[]): string {
  return edit(machinery, labFolder, (text, isIni) =>
    isIni ? deleteFromIni(text, machinery.name, names) : deleteFromYaml(text, names),
  );
}

/** Changes the file, and puts it back as it was when there are more mistakes in it than before. */
function edit(machinery: Machinery, labFolder: string, change: (text: string, isIni: boolean) => string): string {
  const inis = findIniFiles(labFolder, machinery.name);
  const own = join(labFolder, "conf", `${machinery.name}.conf`);
  const isIni = inis.length > 0;
  if (isIni && !inis.includes(own)) throw new MachineryManagerError(`there is no ${own} that could be changed`);
  const file = isIni ? own : getYamlFile(labFolder, machinery.name);
  const before = readText(file);
  const known = listMistakes(machinery, labFolder);
  mkdirSync(dirname(file), { recursive: true });
  const after = change(before ?? renderYamlTemplate(machinery), isIni);
  writeWhole(file, after);
  const added = listMistakes(machinery, labFolder).filter((mistake) => !known.includes(mistake));
  if (added.length === 0) return file;
  writeWhole(file, before ?? renderYamlTemplate(machinery));
  throw new MachineryManagerError(`nothing was changed: ${added.join("\n")}`);
}

function listMistakes(machinery: Machinery, labFolder: string): string[] {
  const config = readMachineryConfig(machinery, labFolder);
  const all = [config?.problems, ...[...(config?.machines.values() ?? [])].map(({ problems }) => problems)];
  // Without the lines, which move.
  return all.flatMap((problems) => (problems?.errors ?? []).map(({ problem }) => problem));
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
