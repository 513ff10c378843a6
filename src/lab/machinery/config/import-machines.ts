import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MachineryManagerError } from "../../errors";
import type { NewValues } from "./edit-machines";

/** The file beside a machine's disk that describes it, as VMCloak writes it. */
const DESCRIPTION = "machineinfo.json";
/** Its members, and the settings that they are. */
const MEMBERS: Readonly<Record<string, string>> = {
  ip: "ip",
  mac_address: "mac_address",
  mac: "mac_address",
  platform: "platform",
  os_version: "os_version",
  osversion: "os_version",
  architecture: "architecture",
  agent_port: "agent_port",
};
const FILES = [
  { setting: "qcow2_path", pattern: /\.qcow2$/ },
  { setting: "snapshot_path", pattern: /\.snapshot$/ },
] as const;

/** A machine that was found in a folder. */
export interface FoundMachine {
  readonly name: string;
  readonly values: NewValues;
}

/**
 * Finds machines: each is a folder with a machineinfo.json, a disk (*.qcow2) and, may be, a memory snapshot (*.snapshot).
 *
 * @param path the folder of those folders
 * @param names only these; all when empty
 * @throws MachineryManagerError when the path cannot be read, or a named one is not there
 */
export function findMachinesToImport(path: string, names: readonly string[]): FoundMachine[] {
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
  return folders
    .filter((name) => names.length === 0 || names.includes(name))
    .map((name) => read(join(path, name), name));
}

function read(folder: string, folderName: string): FoundMachine {
  const file = join(folder, DESCRIPTION);
  let machine: Readonly<Record<string, unknown>>;
  try {
    machine = (JSON.parse(readFileSync(file, "utf8")) as { machine: Record<string, unknown> }).machine ?? {};
  } catch (error) {
    throw new MachineryManagerError(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const values: Record<string, string | readonly string[]> = { machineinfo_path: file };
  for (const [member, setting] of Object.entries(MEMBERS)) {
    const value = machine[member];
    if (typeof value === "string" || typeof value === "number") values[setting] = String(value);
  }
  if (Array.isArray(machine.tags)) values.tags = machine.tags.map(String);
  const files = readdirSync(folder).toSorted();
  for (const { setting, pattern } of FILES) {
    const found = files.find((name) => pattern.test(name));
    if (found !== undefined) values[setting] = join(folder, found);
  }
  return { name: typeof machine.name === "string" ? machine.name : folderName, values };
}
