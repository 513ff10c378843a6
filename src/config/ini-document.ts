import { ConfigError } from "./errors";

/** One line of a value, with its 1-based line number. */
export interface IniValueLine {
  readonly text: string;
  readonly line: number;
}

/** One `key = value`; a value continued by indented lines has more than one value line. */
export interface IniEntry {
  readonly key: string;
  readonly line: number;
  readonly value: readonly IniValueLine[];
}

/** One `[SECTION]` header and what follows it. A section that is opened twice appears twice. */
export interface IniSection {
  readonly name: string;
  readonly line: number;
  readonly entries: readonly IniEntry[];
}

interface OpenEntry extends IniEntry {
  readonly value: IniValueLine[];
}

interface OpenSection extends IniSection {
  readonly entries: OpenEntry[];
}

/**
 * Parses the text of an INI file in the dialect of PyREBox's pyrebox.conf: `key: value` or `key = value`, the case of
 * keys kept, `#` and `;` starting a comment at the start of a line or behind a blank outside quotes, and indented lines
 * continuing the value above. The files of a lab are read as CAPE reads its own instead: see schema/ini-syntax.ts.
 *
 * @param text the file's contents
 * @param file the name to use in errors
 * @returns the sections in the file's order
 * @throws ConfigError for a line that is neither header, key, comment nor continuation
 */
export function parseIni(text: string, file: string): IniSection[] {
  if (text.includes("\0")) {
    throw new ConfigError(file, undefined, "not a text file (it contains NUL bytes)");
  }
  const sections: OpenSection[] = [];
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/);
  for (const [index, raw] of lines.entries()) {
    const line = index + 1;
    const content = stripComment(raw);
    if (content === "") continue;
    const section = sections.at(-1);
    const entry = section?.entries.at(-1);
    if (/^\s/.test(raw) && entry !== undefined) {
      entry.value.push({ text: content, line });
    } else if (content.startsWith("[")) {
      sections.push({ name: readHeader(content, file, line), line, entries: [] });
    } else {
      if (section === undefined) {
        const shown = JSON.stringify(content);
        throw new ConfigError(
          file,
          line,
          `${shown} stands before any section; put a header such as [MODULES] above it`,
        );
      }
      section.entries.push(readEntry(content, file, line));
    }
  }
  return sections;
}

function readHeader(content: string, file: string, line: number): string {
  const header = /^\[([^\][]+)\]$/.exec(content);
  if (header === null) {
    throw new ConfigError(file, line, `${JSON.stringify(content)} is not a section header; write it as [NAME]`);
  }
  return (header[1] as string).trim();
}

function readEntry(content: string, file: string, line: number): OpenEntry {
  const delimiter = content.search(/[:=]/);
  if (delimiter === -1) {
    throw new ConfigError(file, line, `${JSON.stringify(content)} has no value; write "key: value" or "key = value"`);
  }
  const key = content.slice(0, delimiter).trim();
  if (key === "") {
    throw new ConfigError(file, line, `a value without a key; write "key${content}"`);
  }
  return { key, line, value: [{ text: content.slice(delimiter + 1).trim(), line }] };
}

/** Returns the line without comment and outer blanks. A # or ; inside quotes, or inside a word, is no comment. */
function stripComment(raw: string): string {
  const blank = (char: string | undefined) => char === undefined || /\s/.test(char);
  let quote: string | undefined;
  for (let at = 0; at < raw.length; at++) {
    const char = raw[at] as string;
    if (quote !== undefined) {
      if (char === quote) quote = undefined;
    } else if ((char === '"' || char === "'") && raw.indexOf(char, at + 1) !== -1) {
      // A lone apostrophe ("it's") opens nothing.
      quote = char;
    } else if ((char === "#" || char === ";") && blank(raw[at - 1])) {
      return raw.slice(0, at).trim();
    }
  }
  return raw.trim();
}
