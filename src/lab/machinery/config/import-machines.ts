import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { MachineryManagerError } from "../../errors";
import type { NewValues } from "./edit-machines";
import { MACHINE_NAME } from "./machine-settings";

/** The file beside a machine's disk that describes it, as VMCloak writes it. */
const DESCRIPTION = "machineinfo.json";
/**
 * Its members, and the settings that they are; of two that are the same setting, the first counts.
 * Source: vmcloak/machineconf.py and platforms/qemu.py of VMCloak, and what Cuckoo3 takes of them.
 */
const MEMBERS: readonly (readonly [member: string, setting: string])[] = [
  ["ip", "ip"],
  ["mac", "mac_address"],
  ["mac_address", "mac_address"],
  ["os_name", "platform"],
  ["platform", "platform"],
  ["os_version", "os_version"],
  ["osversion", "os_version"],
  ["architecture", "architecture"],
  ["bridge", "interface"],
  ["interface", "interface"],
  ["agent_port", "agent_port"],
];
/** The files beside it: the member that names one, and how it is found without. */
const FILES = [
  { setting: "qcow2_path", member: "disk", pattern: /\.qcow2$/ },
  { setting: "snapshot_path", member: "memory_snapshot", pattern: /\.snapshot$/ },
] as const;

/** A machine that was found in a folder. */
export interface FoundMachine {
  readonly name: string;
  readonly values: NewValues;
}

/** The machines of a folder of folders. */
export interface FoundMachines {
  readonly machines: readonly FoundMachine[];
  /** Those whose description cannot be used, each with the file. */
  readonly errors: readonly MachineryManagerError[];
}

/**
 * Finds machines: each is a folder with a machineinfo.json, a disk (*.qcow2) and, may be, a memory snapshot (*.snapshot).
 *
 * @param path the folder of those folders
 * @param names only these; all when empty
 * @throws MachineryManagerError when the path cannot be read, or a named one is not there
 */
export function findMachinesToImport(path: string, names: readonly string[]): FoundMachines {
  if (!existsSync(path)) throw new MachineryManagerError(`there is no folder ${path}`);
  const folders = readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(path, entry.name, DESCRIPTION)))
    .map(({ name }) => name)
    .toSorted();
  const missing = names.filter((name) => !folders.includes(name));
  if (missing.length > 0) {
    const found = folders.join(", ") || "none";
    throw new MachineryManagerError(`no ${DESCRIPTION} of ${missing.join(", ")} in ${path}; there are ${found}`);
  }
  const machines: FoundMachine[] = [];
  const errors: MachineryManagerError[] = [];
  for (const name of folders.filter((each) => names.length === 0 || names.includes(each))) {
    const folder = join(path, name);
    try {
      const text = readFileSync(join(folder, DESCRIPTION), "utf8");
      machines.push(readMachineDescription(text, folder, name, readdirSync(folder)));
    } catch (error) {
      const reason = `${join(folder, DESCRIPTION)}: ${error instanceof Error ? error.message : String(error)}`;
      errors.push(error instanceof MachineryManagerError ? error : new MachineryManagerError(reason));
    }
  }
  return { machines, errors };
}

/**
 * Reads the description of one machine.
 *
 * @param text the file's content; anything
 * @param folder the folder of the file
 * @param folderName the machine's name where the description has none
 * @param files the names of the files in the folder
 * @throws MachineryManagerError with the file, for what cannot be used
 */
export function readMachineDescription(
  text: string,
  folder: string,
  folderName: string,
  files: readonly string[],
): FoundMachine {
  const file = join(folder, DESCRIPTION);
  const fail = (problem: string): never => {
    throw new MachineryManagerError(`${file}: ${problem}`);
  };
  const machine = parseMachine(text, fail);
  const name = machine.name ?? folderName;
  if (typeof name !== "string" || !MACHINE_NAME.test(name)) {
    return fail(`${JSON.stringify(name)} is no name for a machine: letters, digits, _ . -`);
  }
  const values: Record<string, string | readonly string[]> = {};
  if (Array.isArray(machine.start_args) && machine.start_args.length > 0) values.machineinfo_path = file;
  for (const [member, setting] of MEMBERS) {
    const value = machine[member];
    if (value === undefined || value === null || value === "" || setting in values) continue;
    if (typeof value !== "string" && typeof value !== "number") return fail(`"${member}" must be a text or a number`);
    values[setting] = String(value);
  }
  const tags = machine.tags ?? [];
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === "string" || typeof tag === "number")) {
    return fail('"tags" must be a list of texts');
  }
  if (tags.length > 0) values.tags = tags.map(String);
  for (const { setting, member, pattern } of FILES) {
    const named = machine[member] ?? files.toSorted().find((each) => pattern.test(each));
    if (named === undefined) continue;
    if (typeof named !== "string") return fail(`"${member}" must be the name of a file beside it`);
    values[setting] = resolve(folder, named);
  }
  return { name, values };
}

function parseMachine(text: string, fail: (problem: string) => never): Readonly<Record<string, unknown>> {
  let info: unknown;
  try {
    info = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
  const { machine } = (info ?? {}) as { readonly machine?: unknown };
  if (typeof machine === "object" && machine !== null && !Array.isArray(machine)) {
    // Without a prototype, so that nothing is there that the file does not have.
    return Object.assign(Object.create(null) as Record<string, unknown>, machine);
  }
  return fail('it has no group "machine"; is it a file of VMCloak?');
}
