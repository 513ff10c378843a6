import { toPlainLine } from "../../config/terminal-text";

/** How a part of a line stands out. Each works without colours too. */
export type Style = "bold" | "dim" | "reverse" | "changed" | "current";

/** A part of a line: text, or text that stands out. The text may be the guest's own. */
export type Span = string | { readonly text: string; readonly style: Style };

/** One row of a pane. */
export type StyledLine = readonly Span[];

/** Parameters of SGR (ECMA-48, 8.3.117). */
const CODES: Readonly<Record<Style, string>> = { bold: "1", dim: "2", reverse: "7", changed: "1;4", current: "1" };
/**
 * What takes one cell in every terminal: ASCII, and Latin, Greek and Cyrillic letters without the marks that combine with the
 * letter before them. The width of others depends on the terminal, and would push the rest of a row aside.
 */
const WIDE = /[^\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f]/gu;

/** Returns text in which each UTF-16 unit takes one cell: control characters become \xNN, what may be wider becomes "?". */
export function toCells(text: string): string {
  return toPlainLine(text).replace(WIDE, "?");
}

/**
 * Renders a line with the codes of a terminal around the parts that stand out; nothing in a part's text can become such a code.
 *
 * @param width in cells; what is longer is cut off
 */
export function renderLine(line: StyledLine, width: number): string {
  let left = width;
  return line
    .map((span) => {
      const text = toCells(typeof span === "string" ? span : span.text).slice(0, left);
      left -= text.length;
      return typeof span === "string" || text === "" ? text : `\x1b[${CODES[span.style]}m${text}\x1b[m`;
    })
    .join("");
}
