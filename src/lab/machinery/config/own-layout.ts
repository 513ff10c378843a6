import { readFileSync } from "node:fs";
import type { ConfigMap, ConfigNode } from "../../../config/schema/config-node";
import { MachineryManagerError } from "../../errors";
import type { Machinery } from "../machinery";
import type { MachineFacts } from "../records/lab-machine";
import { MACHINE_NAME } from "./machine-settings";
import { readMachine } from "./read-machine";

/** One configuration file of a machinery, as it is. */
export interface ConfigSource {
  /** Absolute. */
  readonly file: string;
  readonly text: string;
}

/** A value of a configuration file: text, a list, or a group. */
export type ConfigContent = string | readonly ConfigContent[] | { readonly [name: string]: ConfigContent };

/** The settings of a machine as text, by the names that they have in files. */
export type MachineValues = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Reads the files of a configuration for a module that takes them as they are. */
export function readSources(files: readonly string[]): ConfigSource[] {
  return files.map((file) => ({ file, text: readFileSync(file, "utf8") }));
}

/** Returns the content of a configuration without the places in it. */
export function toContent(node: ConfigNode): ConfigContent {
  if (node.kind === "text") return node.text;
  if (node.kind === "list") return node.items.map(toContent);
  return Object.fromEntries([...node.entries].map(([name, value]) => [name, toContent(value)]));
}

/**
 * Makes a machine out of settings that do not stand in a configuration file, and checks them like those that do.
 *
 * @param values the settings, by the names that they have in files; machines without a label have their name as one
 * @param folder where relative paths begin
 * @param warn is told of settings that are not known
 * @throws MachineryManagerError with every mistake
 */
export function makeMachineFacts(
  machinery: Machinery,
  name: string,
  values: MachineValues,
  folder: string,
  warn: (problem: string) => void,
): MachineFacts {
  const place = { file: `machine ${name} of ${machinery.name}`, line: 1 };
  const toNode = (value: MachineValues[string]): ConfigNode => {
    if (typeof value !== "object") return { kind: "text", text: String(value), place };
    return { kind: "list", items: value.map(toNode), place };
  };
  const entries = Object.entries(values).map(([key, value]) => [key, toNode(value)] as const);
  const map: ConfigMap = { kind: "map", entries: new Map(entries), place };
  const { facts, problems } = readMachine(machinery, name, map, { isIni: false, folder, mainInterface: undefined });
  for (const { problem } of problems.warnings) warn(`${name}: ${problem}`);
  if (facts !== undefined && problems.errors.length === 0) return facts;
  const mistakes = problems.errors.map(({ problem }) => problem).join("; ") || "it is not enabled";
  throw new MachineryManagerError(`${place.file}: ${mistakes}`);
}

/**
 * Checks what a module has made as a machine.
 *
 * @throws MachineryManagerError for one without a name that can be a folder's, a label or a platform
 */
export function checkFacts(facts: MachineFacts, machineryName: string): MachineFacts {
  const { name, label, platform } = facts as Partial<MachineFacts>;
  if (typeof name !== "string" || !MACHINE_NAME.test(name)) {
    throw new MachineryManagerError(`it has made a machine named ${JSON.stringify(name)}: letters, digits, _ . -`);
  }
  if (typeof label !== "string" || typeof platform !== "string") {
    throw new MachineryManagerError(`it has made the machine ${name} without a label or a platform; see makeMachine()`);
  }
  const missing = { tags: new Set<string>(), agentPort: 8000, isReserved: false, settings: {} };
  return { ...missing, ...facts, machineryName };
}
