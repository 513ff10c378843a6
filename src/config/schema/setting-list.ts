import { stripBlanks } from "./ini-syntax";

/** The items of a list that is written as text. */
export interface SplitList {
  /** Without blanks around them; none is empty. */
  readonly items: readonly string[];
  /** A comma has nothing before or behind it. */
  readonly hasEmpty: boolean;
}

/**
 * Splits a list that is written as text: commas and line ends separate the items. A backslash in front of a comma makes it
 * a part of the item, and two there are one backslash and a separator; elsewhere a backslash is itself, as in `C:\\tools`.
 */
export function splitList(text: string): SplitList {
  const items: string[] = [];
  let hasEmpty = false;
  for (const line of text.split("\n")) {
    const parts = splitLine(line).map(stripBlanks);
    // A comma at the end of a line only says that the list goes on.
    if (parts.length > 1 && parts.at(-1) === "" && text.includes("\n")) parts.pop();
    hasEmpty ||= parts.length > 1 && parts.includes("");
    items.push(...parts.filter((part) => part !== ""));
  }
  return { items, hasEmpty };
}

function splitLine(line: string): string[] {
  const parts = [""];
  for (const [piece, slashes, comma] of line.matchAll(/(\\*)(,)|[^\\,]+|\\+/g)) {
    const last = parts.length - 1;
    if (comma === undefined) {
      parts[last] += piece;
      continue;
    }
    parts[last] += "\\".repeat(Math.floor(slashes!.length / 2));
    if (slashes!.length % 2 === 1) parts[last] += ",";
    else parts.push("");
  }
  return parts;
}

/**
 * Writes a list so that splitList() returns its items.
 *
 * @returns undefined when text cannot hold an item: it is empty, has blanks around it, or goes over several lines
 */
export function joinList(items: readonly string[]): string | undefined {
  if (items.some((item) => item === "" || item.includes("\n") || stripBlanks(item) !== item)) return undefined;
  const escaped = items.map((item) => item.replaceAll(/(\\*),/g, "$1$1\\,"));
  // Backslashes at the end of an item would belong to the comma behind it.
  return escaped.map((item, index) => (index < items.length - 1 ? item.replace(/\\+$/, "$&$&") : item)).join(", ");
}
