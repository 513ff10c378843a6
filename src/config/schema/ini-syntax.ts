import type { ConfigProblems } from "./config-problems";

/** One option as it stands in a file. */
export interface IniOption {
  /** In lower case. */
  readonly name: string;
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** The lines of its value with their 1-based numbers, stripped; the first stands beside the name, and may be "". */
  readonly value: readonly { readonly text: string; readonly line: number }[];
}

/** One section, with its options by their names. */
export interface IniSyntaxSection {
  readonly name: string;
  readonly line: number;
  readonly options: ReadonlyMap<string, IniOption>;
}

/** The content of one file. */
export interface IniSyntax {
  /** By their names, in the file's order. */
  readonly sections: ReadonlyMap<string, IniSyntaxSection>;
  /** The options of [DEFAULT], which every section has. */
  readonly defaults: IniSyntaxSection | undefined;
}

/** The section whose options every other section has, too. */
export const DEFAULT_SECTION = "DEFAULT";

/** A character that Python's str.isspace() takes for a blank: Unicode's White_Space, and four separators of ASCII. */
const BLANK = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const OUTER_BLANKS = new RegExp(`^${BLANK}+|${BLANK}+$`, "g");
const INDENT = new RegExp(`^${BLANK}*`);

/** Removes the blanks around a text, as Python's str.strip() does. */
export function stripBlanks(text: string): string {
  return text.replace(OUTER_BLANKS, "");
}

/** Splits a text into its lines, as Python reads a file: LF, CR LF and CR end one. */
export function splitLines(text: string): string[] {
  return text.split(/\r\n|\n|\r/);
}

type OpenOption = IniOption & { readonly value: { readonly text: string; readonly line: number }[] };
type OpenIniSection = IniSyntaxSection & { readonly options: Map<string, OpenOption> };

/**
 * Parses an INI file as Python's configparser.ConfigParser does with its defaults, which is how CAPE reads its files: a
 * line that is indented deeper than the first of its option continues the value; a line that begins with # or ; is a
 * comment, and there is none behind a value; a second section or option of the same name is a mistake.
 * Source: Lib/configparser.py of CPython 3.11, RawConfigParser._read().
 *
 * @param text the file's content, without a byte order mark
 * @param file the name to use for places
 * @param problems receives every mistake; the line is left out
 */
export function parseIniSyntax(text: string, file: string, problems: ConfigProblems): IniSyntax {
  return new IniSyntaxReader(file, problems).read(text);
}

class IniSyntaxReader {
  readonly #sections = new Map<string, OpenIniSection>();
  #defaults: OpenIniSection | undefined;
  #section: OpenIniSection | undefined;
  #option: OpenOption | undefined;
  #indent = 0;
  #isHeadless = false;

  constructor(
    private readonly file: string,
    private readonly problems: ConfigProblems,
  ) {}

  read(text: string): IniSyntax {
    if (text.includes("\0")) {
      this.problems.error({ file: this.file, line: 1 }, "this is no text file (it contains NUL bytes)");
      return { sections: this.#sections, defaults: undefined };
    }
    for (const [index, raw] of splitLines(text).entries()) this.#readLine(raw, index + 1);
    return { sections: this.#sections, defaults: this.#defaults };
  }

  #readLine(raw: string, line: number): void {
    const content = stripBlanks(raw);
    if (/^[#;]/.test(content)) return;
    if (content === "") {
      this.#option?.value.push({ text: "", line });
      return;
    }
    const indent = INDENT.exec(raw)![0].length;
    if (this.#option !== undefined && indent > this.#indent) {
      this.#option.value.push({ text: content, line });
      return;
    }
    this.#indent = indent;
    // To the last bracket, with anything behind it: as Python does.
    const header = /^\[([^]+)\]/.exec(content)?.[1];
    if (header !== undefined) this.#openSection(header, line);
    else this.#readOption(content, line);
  }

  #openSection(name: string, line: number): void {
    this.#option = undefined;
    const section: OpenIniSection = { name, line, options: new Map() };
    if (name === DEFAULT_SECTION) {
      this.#section = this.#defaults ??= section;
      return;
    }
    const earlier = this.#sections.get(name);
    if (earlier !== undefined) {
      this.#fail(line, `[${name}] stands in line ${earlier.line} already; put its settings there`);
    }
    this.#sections.set(name, earlier ?? section);
    this.#section = earlier ?? section;
  }

  #readOption(content: string, line: number): void {
    const shown = JSON.stringify(content);
    if (this.#section === undefined) {
      // One report is enough for all lines above the first header.
      if (!this.#isHeadless)
        this.#fail(line, `${shown} stands before any section; put a header such as [kvm] above it`);
      this.#isHeadless = true;
      return;
    }
    const delimiter = content.search(/[=:]/);
    const name = stripBlanks(content.slice(0, Math.max(delimiter, 0))).toLowerCase();
    if (delimiter === -1) return this.#fail(line, `${shown} has no value; write "key = value" or "key: value"`);
    if (name === "") return this.#fail(line, `${shown} is a value without a name; write "key = value"`);
    const section = this.#section;
    const earlier = section.options.get(name);
    if (earlier !== undefined) this.#fail(line, `"${name}" is set twice in [${section.name}]`);
    const text = stripBlanks(content.slice(delimiter + 1));
    const option: OpenOption = { name, file: this.file, line, value: [{ text, line }] };
    section.options.set(name, option);
    this.#option = option;
  }

  #fail(line: number, problem: string): void {
    this.problems.error({ file: this.file, line }, problem);
  }
}
