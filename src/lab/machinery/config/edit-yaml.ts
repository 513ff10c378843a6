import {
  Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from "yaml";
import { MachineryManagerError } from "../../errors";

/** A value of one setting, with the comment above it. */
export interface NewSetting {
  readonly name: string;
  readonly value: string | readonly string[];
  readonly comment: string;
}

/**
 * Adds a machine to the text of a YAML file, behind the others. Everything else stays as it is written.
 *
 * @throws MachineryManagerError when its name is taken, or the file is written in a way that cannot be added to
 */
export function addToYaml(text: string, machine: string, settings: readonly NewSetting[]): string {
  const file = new YamlText(text);
  if (file.has(machine)) throw new MachineryManagerError(`a machine named ${machine} already exists in the file`);
  return file.add(writeMachine(machine, settings));
}

/**
 * Removes machines with their settings, and the comments between those. Everything else stays as it is written.
 *
 * @throws MachineryManagerError when one is not there, or the file is written in a way that nothing can be taken out of
 */
export function deleteFromYaml(text: string, names: readonly string[]): string {
  let result = text;
  for (const name of names) {
    const file = new YamlText(result);
    if (!file.has(name)) throw new MachineryManagerError(`there is no machine ${name} in the file`);
    result = file.delete(name);
  }
  return result;
}

/** Characters that YAML takes for line ends, for a mark of the byte order, or not at all: they are written as escapes. */
const UNSEEN = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/;
const UNSEEN_ALL = new RegExp(UNSEEN, "g");

function writeMachine(machine: string, settings: readonly NewSetting[]): string[] {
  const values = Object.fromEntries(settings.map(({ name, value }) => [name, value]));
  const document = new Document({ [machine]: values });
  const node = (document.contents as unknown as YAMLMap).items[0]!.value as YAMLMap;
  settings.forEach(({ comment }, index) => {
    if (comment !== "") (node.items[index]!.key as Scalar).commentBefore = ` ${comment.replaceAll(/\s+/g, " ")}`;
  });
  for (const { value } of node.items as { value: unknown }[]) {
    for (const each of isSeq(value) ? value.items : [value]) {
      if (isScalar(each) && UNSEEN.test(String(each.value))) each.type = "QUOTE_DOUBLE";
    }
  }
  // One line for each value: the lines are indented afterwards.
  const written = document.toString({ lineWidth: 0, blockQuote: false, doubleQuotedMinMultiLineLength: 1e9 });
  const escaped = written.replaceAll(UNSEEN_ALL, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  // The end of the last value is the value's: a no-break space is text for YAML.
  return escaped.replace(/\n$/, "").split("\n");
}

/** The text of a YAML file, which is cut and never written anew: that would move comments. */
class YamlText {
  readonly #document: Document;
  readonly #lineEnd: string;

  constructor(private readonly text: string) {
    this.#document = parseDocument(text);
    this.#lineEnd = /\r\n|\n/.exec(text)?.[0] ?? "\n";
    const error = this.#document.errors[0];
    if (error) throw new MachineryManagerError(`the file is no YAML; mend it first: ${error.message}`);
  }

  has(machine: string): boolean {
    return this.#findItem(machine) !== undefined;
  }

  add(lines: readonly string[]): string {
    const { contents } = this.#document;
    const machines = this.#document.get("machines", true);
    if (isMap(machines) && machines.items.length > 0) {
      const first = machines.items[0]!.key as Node;
      this.#checkBlock(machines, first);
      const indent = this.text.slice(this.#startOfLine(first.range![0]), first.range![0]);
      return this.#insert(this.#endOfItem(machines.items.at(-1)!), lines.map((line) => `${indent}${line}`)); // prettier-ignore
    }
    const indented = lines.map((line) => `  ${line}`);
    const item = isMap(contents)
      ? contents.items.find(({ key }) => isScalar(key) && key.value === "machines")
      : undefined;
    if (item === undefined) {
      if (contents !== null && !(isMap(contents) && contents.flow !== true)) throw new MachineryManagerError(REWRITE);
      return this.#insert(this.text.length, ["machines:", ...indented]);
    }
    if (!isEmpty(item.value)) throw new MachineryManagerError(REWRITE);
    // At the end of the file, below the comments that a template has there; else directly below the name.
    const isLast = isMap(contents) && contents.items.at(-1) === item && !/^(---|\.\.\.)/m.test(this.text.slice((item.key as Node).range![1])); // prettier-ignore
    return this.#insert(isLast ? this.text.length : this.#endOfItem(item), indented);
  }

  delete(machine: string): string {
    const item = this.#findItem(machine)!;
    const key = item.key as Node;
    this.#checkBlock(this.#document.get("machines") as YAMLMap, key);
    return this.text.slice(0, this.#startOfLine(key.range![0])) + this.text.slice(this.#endOfItem(item));
  }

  #findItem(machine: string) {
    const machines = this.#document.get("machines", true);
    if (!isMap(machines)) return undefined;
    // A name such as 1 or null is no text for YAML; it is one for rebox, as it is written.
    return machines.items.find(({ key }) => {
      return isScalar(key) && (typeof key.value === "string" ? key.value : key.source) === machine;
    });
  }

  /** Only a map with a line for each name can be cut. */
  #checkBlock(map: YAMLMap, key: Node): void {
    const before = this.text.slice(this.#startOfLine(key.range![0]), key.range![0]);
    if (map.flow === true || before.trim() !== "") throw new MachineryManagerError(REWRITE);
  }

  #insert(at: number, lines: readonly string[]): string {
    const before = this.text.slice(0, at);
    const gap = before === "" || before.endsWith("\n") ? "" : this.#lineEnd;
    return before + gap + lines.map((line) => `${line}${this.#lineEnd}`).join("") + this.text.slice(at);
  }

  #startOfLine(at: number): number {
    return this.text.lastIndexOf("\n", at - 1) + 1;
  }

  /** Returns where the line behind an item begins. */
  #endOfItem(item: unknown): number {
    const end = getEnd(item);
    if (end > 0 && this.text[end - 1] === "\n") return end;
    const next = this.text.indexOf("\n", end);
    return next === -1 ? this.text.length : next + 1;
  }
}

const REWRITE =
  '"machines" must have a line for each machine, below "machines:", to be changed by a command; write it that way';

function isEmpty(value: unknown): boolean {
  return value === null || (isScalar(value) && value.range![0] === value.range![1]);
}

/** Returns where the text of a node ends, without the comments behind it. */
function getEnd(node: unknown): number {
  if (isPair(node)) return isEmpty(node.value) ? getEnd(node.key) : getEnd(node.value);
  if ((isMap(node) || isSeq(node)) && node.flow !== true && node.items.length > 0) return getEnd(node.items.at(-1));
  return isScalar(node) || isAlias(node) || isMap(node) || isSeq(node) ? node.range![1] : 0;
}
