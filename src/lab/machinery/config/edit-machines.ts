import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Document, isMap, isScalar, parseDocument, type Scalar, YAMLMap } from "yaml";
import { examineSetting } from "../../../config/schema/settings-schema";
import { MachineryManagerError } from "../../errors";
import type { Machinery } from "../machinery";
import { writeWhole } from "../records/machine-file";
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

/** Adds a machine to the text of an INI file: its name to `machines`, and a section at the end. */
export function addToIni(text: string, main: string, machine: string, settings: readonly NewSetting[]): string {
  if (findSection(text.split("\n"), machine) !== undefined) {
    throw new MachineryManagerError(`a section [${machine}] already exists in the file`);
  }
  const names = [...readNames(text, main), machine];
  const section = settings.flatMap(({ name, value, comment }) => {
    const shown = typeof value === "string" ? value : value.join(", ");
    return [`# ${comment}`, `${name} = ${/[#;]/.test(shown) ? JSON.stringify(shown) : shown}`];
  });
  return `${writeNames(text, main, names).trimEnd()}\n\n[${machine}]\n${section.join("\n")}\n`;
}

/** Removes machines with their sections. */
export function deleteFromIni(text: string, main: string, names: readonly string[]): string {
  let result = text;
  for (const name of names) {
    const lines = result.split("\n");
    const known = readNames(result, main);
    const section = findSection(lines, name);
    if (section === undefined || !known.includes(name)) {
      throw new MachineryManagerError(`there is no machine ${name} in the file`);
    }
    lines.splice(section.start, section.end - section.start);
    result = writeNames(
      lines.join("\n"),
      main,
      known.filter((each) => each !== name),
    );
  }
  return result;
}

function findSection(
  lines: readonly string[],
  name: string,
): { readonly start: number; readonly end: number } | undefined {
  const start = lines.findIndex((line) => line.trim() === `[${name}]`);
  if (start === -1) return undefined;
  const next = lines.findIndex((line, index) => index > start && /^\s*\[/.test(line));
  return { start, end: next === -1 ? lines.length : next };
}

/** Finds the line with the machines' names; it must be one line. */
function findNames(lines: readonly string[], main: string): number {
  const section = findSection(lines, main);
  const isNames = (line: string | undefined) => /^machines\s*[:=]/i.test(line ?? "");
  for (let at = section?.start ?? 0; at < (section?.end ?? 0); at++) {
    if (!isNames(lines[at])) continue;
    if (/^\s+\S/.test(lines[at + 1] ?? "")) {
      throw new MachineryManagerError(`"machines" of [${main}] goes over several lines; put it into one line first`);
    }
    return at;
  }
  throw new MachineryManagerError(`[${main}] has no line "machines = "; add one first`);
}

function readNames(text: string, main: string): string[] {
  const lines = text.split("\n");
  const line = lines[findNames(lines, main)]!.replace(/\s[#;].*$/, "");
  return line
    .slice(line.search(/[:=]/) + 1)
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

function writeNames(text: string, main: string, names: readonly string[]): string {
  const lines = text.split("\n");
  lines[findNames(lines, main)] = `machines = ${names.join(", ")}`;
  return lines.join("\n");
}

/** A value of one setting, with the comment above it. */
export interface NewSetting {
  readonly name: string;
  readonly value: string | readonly string[];
  readonly comment: string;
}

/** Adds a machine to the text of a YAML file; comments stay. @throws MachineryManagerError when its name is taken */
export function addToYaml(text: string, machine: string, settings: readonly NewSetting[]): string {
  const document = parse(text);
  const machines = getMachines(document);
  if (machines.has(machine)) throw new MachineryManagerError(`a machine named ${machine} already exists in the file`);
  const values = Object.fromEntries(settings.map(({ name, value }) => [name, value]));
  const node = document.createNode(values) as YAMLMap;
  settings.forEach(({ comment }, index) => {
    (node.items[index]!.key as Scalar).commentBefore = ` ${comment}`;
  });
  machines.set(document.createNode(machine), node);
  return document.toString({ lineWidth: 0 });
}

/** Removes machines. @throws MachineryManagerError when one is not there */
export function deleteFromYaml(text: string, names: readonly string[]): string {
  const document = parse(text);
  const machines = getMachines(document);
  for (const name of names) {
    if (!machines.delete(name)) throw new MachineryManagerError(`there is no machine ${name} in the file`);
  }
  return document.toString({ lineWidth: 0 });
}

function parse(text: string): Document {
  const document = parseDocument(text);
  const error = document.errors[0];
  if (error) throw new MachineryManagerError(`the file is no YAML; mend it first: ${error.message}`);
  return document;
}

function getMachines(document: Document): YAMLMap {
  const known = document.get("machines", true);
  if (isMap(known)) return known;
  const machines = new YAMLMap(document.schema);
  // Below "machines:" there are only comments as long as there are no machines.
  if (isScalar(known)) machines.commentBefore = known.commentBefore ?? known.comment ?? null;
  document.set("machines", machines);
  return machines;
}
