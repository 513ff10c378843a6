import { MachineryManagerError } from "../errors";
import type { NewSetting } from "./edit-yaml";

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
