import { ConfigProblems } from "../../../config/schema/config-problems";
import {
  DEFAULT_SECTION,
  type IniOption,
  type IniSyntax,
  parseIniSyntax,
  stripBlanks,
} from "../../../config/schema/ini-syntax";
import { joinList } from "../../../config/schema/setting-list";
import { MachineryManagerError } from "../../errors";
import type { NewSetting } from "./edit-yaml";

/**
 * Adds a machine to the text of an INI file: its name to `machines`, and a section at the end. Everything else stays as it is.
 *
 * @param main the section that holds `machines`
 * @throws MachineryManagerError when the name is taken, or an INI file cannot hold a value
 */
export function addToIni(text: string, main: string, machine: string, settings: readonly NewSetting[]): string {
  const file = new IniText(text);
  if (machine === DEFAULT_SECTION || file.syntax.sections.has(machine)) {
    throw new MachineryManagerError(
      `a section [${machine}] already exists in the file, or means something else; choose another name`,
    );
  }
  file.addName(main, machine);
  file.append([
    `[${machine}]`,
    ...settings.flatMap(({ name, value, comment }) => [
      ...(comment === "" ? [] : [`# ${comment.replaceAll(/\s+/g, " ")}`]),
      `${name} = ${writeValue(name, value)}`,
    ]),
  ]);
  return file.toString();
}

/**
 * Removes machines with their sections. Comments stay, but those between the settings of a section.
 *
 * @throws MachineryManagerError when one is not there
 */
export function deleteFromIni(text: string, main: string, names: readonly string[]): string {
  let result = text;
  for (const name of names) {
    const file = new IniText(result);
    if (!file.syntax.sections.has(name) || !file.hasName(main, name)) {
      throw new MachineryManagerError(`there is no machine ${name} in the file`);
    }
    file.deleteSection(name);
    file.deleteName(main, name);
    result = file.toString();
  }
  return result;
}

/** Writes a value so that it is read as it was given. */
function writeValue(name: string, value: string | readonly string[]): string {
  const shown = typeof value === "string" ? value : joinList(value);
  if (shown === undefined || /[\r\n\0]/.test(shown) || stripBlanks(shown) !== shown) {
    throw new MachineryManagerError(
      `an INI file cannot hold this ${name}: one line of text without blanks around it; write the configuration as YAML`,
    );
  }
  return shown.replaceAll("%", "%%");
}

/** The text of an INI file by its lines, and what Python's ConfigParser makes of them. */
class IniText {
  readonly syntax: IniSyntax;
  /** With their ends; undefined where one was deleted, so that the numbers stay. */
  readonly #lines: (string | undefined)[];
  readonly #lineEnd: string;

  constructor(text: string) {
    const problems = new ConfigProblems();
    // A byte order mark is no part of the first line.
    this.syntax = parseIniSyntax(text.replace(/^\uFEFF/, ""), "the file", problems);
    const error = problems.errors[0];
    if (error !== undefined) throw new MachineryManagerError(`mend the file first: ${error.message}`);
    this.#lines = text.split(/(?<=\n|\r(?!\n))/);
    this.#lineEnd = /\r\n|\n|\r/.exec(text)?.[0] ?? "\n";
  }

  hasName(main: string, name: string): boolean {
    return this.#getNames(main).value.some(({ text }) => splitNames(text).includes(name));
  }

  addName(main: string, name: string): void {
    const { text, line } =
      this.#getNames(main).value.findLast((each) => each.text !== "") ?? this.#getNames(main).value[0]!;
    const separator = text === "" ? " " : text.endsWith(",") ? " " : ", ";
    this.#edit(line, (content) => `${content.trimEnd()}${separator}${name}`);
  }

  deleteName(main: string, name: string): void {
    for (const [index, { text, line }] of this.#getNames(main).value.entries()) {
      const names = splitNames(text);
      if (!names.includes(name)) continue;
      const rest = names.filter((each) => each !== name).join(", ");
      const hasMore = text.endsWith(",") && rest !== "" ? "," : "";
      if (index > 0 && rest === "") this.#lines[line - 1] = undefined;
      else this.#edit(line, (content) => `${content.slice(0, content.lastIndexOf(text))}${rest}${hasMore}`.trimEnd());
    }
  }

  /** Removes a section to its last setting, with the blank lines behind that; comments below that stay. */
  deleteSection(name: string): void {
    const { line: first, options } = this.syntax.sections.get(name)!;
    const values = [...options.values()].flatMap(({ value }) => value.filter(({ text }) => text !== ""));
    const last = Math.max(first, ...[...options.values()].map(({ line }) => line), ...values.map(({ line }) => line));
    for (let line = first; line <= last; line++) this.#lines[line - 1] = undefined;
    for (let line = last + 1; line <= this.#lines.length && this.#lines[line - 1]!.trim() === ""; line++) {
      this.#lines[line - 1] = undefined;
    }
    // Behind a section that is indented less, the next header would continue the value above it.
    const next = [...this.syntax.sections.values(), this.syntax.defaults].find((each) => each && each.line > last);
    if (next !== undefined) this.#edit(next.line, (content) => content.trimStart());
  }

  append(lines: readonly string[]): void {
    const before = this.toString();
    const gap = before === "" || /(\r\n|\n|\r)[ \t]*\1$/.test(before) ? "" : this.#lineEnd;
    const end = before === "" || /[\r\n]$/.test(before) ? "" : this.#lineEnd;
    this.#lines.push(end, gap, ...lines.map((line) => `${line}${this.#lineEnd}`));
  }

  toString(): string {
    return this.#lines.join("");
  }

  #getNames(main: string): IniOption {
    const option = this.syntax.sections.get(main)?.options.get("machines");
    if (option === undefined) throw new MachineryManagerError(`[${main}] has no line "machines = "; add one first`);
    return option;
  }

  /** Changes a line, and not its end. */
  #edit(line: number, change: (content: string) => string): void {
    const [content, end] = /^([^\r\n]*)(.*)$/s.exec(this.#lines[line - 1]!)!.slice(1) as [string, string];
    this.#lines[line - 1] = `${change(content)}${end}`;
  }
}

function splitNames(text: string): string[] {
  return text
    .split(",")
    .map(stripBlanks)
    .filter((name) => name !== "");
}
