import { toPlainLine } from "../../config/terminal-text";
import type { PaneSize } from "./pane";

/** The style of a part of a line. Each works without colours too. */
export type Style = "bold" | "dim" | "reverse" | "changed" | "current";

/** A part of a line: text, or text that stands out. The text may be the guest's own. */
export type Span = string | { readonly text: string; readonly style: Style };

/** One row of a pane. */
export type StyledLine = readonly Span[];

/** Parameters of SGR (ECMA-48, 8.3.117). */
const CODES: Readonly<Record<Style, string>> = { bold: "1", dim: "2", reverse: "7", changed: "1;4", current: "1" };
/**
 * Characters that do not take exactly one cell in every terminal: all but ASCII, and Latin, Greek and Cyrillic letters without
 * combining marks. The width of the others depends on the terminal, and would push the rest of a row aside.
 */
const WIDE = /[^\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f]/gu;

/** Returns text in which each UTF-16 unit takes one cell: control characters become \xNN, what may be wider becomes "?". */
export function toCells(text: string): string {
  return toPlainLine(text).replace(WIDE, "?");
}

/**
 * Renders a line with the codes of a terminal around the parts that stand out; nothing in a part's text can become such a code.
 *
 * @param width in cells; a longer line is cut off
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

/** Returns as many rows of the end as there is room for. @param below how many rows from the end to leave out */
export function renderEnd(lines: readonly string[], { width, height }: PaneSize, below: number): string[] {
  // Each line gives a row at least.
  const rows = wrapLines(lines.slice(-(height + below)), width);
  return rows.slice(Math.max(0, rows.length - below - height), rows.length - below);
}

/** Returns lines as rows: a line longer than the width, in cells, is continued in the next row. */
export function wrapLines(lines: readonly string[], width: number): string[] {
  return lines.flatMap((line) => {
    const cells = toCells(line.replace(/\t/g, "    "));
    const rows = [cells.slice(0, width)];
    for (let at = width; at < cells.length; at += width) rows.push(cells.slice(at, at + width));
    return rows;
  });
}
