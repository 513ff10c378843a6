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

/** Ends a row in which a word is cut. */
const CUT = "\u00bb";

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

/** Returns lines as rows: a line longer than the width, in cells, is continued in the next row, between words. */
export function wrapLines(lines: readonly string[], width: number): string[] {
  return lines.flatMap((line) => wrapLine(line, width).map(({ text }) => text));
}

/** A row of a line that is continued. */
export interface WrappedRow {
  readonly text: string;
  /** The cell of the line with which it begins. */
  readonly start: number;
}

/**
 * Divides a line into rows between words, so that a symbol stays whole. A word longer than a row is cut, with a mark at the end of
 * each row that it fills.
 *
 * @param width in cells
 * @returns one row at least
 */
export function wrapLine(line: string, width: number): WrappedRow[] {
  const cells = toCells(line.replace(/\t/g, "    "));
  const rows: WrappedRow[] = [];
  const add = (start: number, end: number, mark = ""): void => {
    rows.push({ text: `${cells.slice(start, end)}${mark}`, start });
  };
  let start = 0;
  while (cells.length - start > width) {
    const blank = cells.lastIndexOf(" ", start + width);
    const next = skipBlanks(cells, blank);
    if (blank >= start && cells.slice(start, blank).trim() !== "") {
      add(start, cells.slice(0, blank).trimEnd().length);
      start = next;
    } else if (cells[start] === " ") {
      // A word that would be cut behind its indentation stands without it.
      start = skipBlanks(cells, start);
    } else {
      const end = start + Math.max(1, width - 1);
      add(start, end, width > 1 ? CUT : "");
      start = end;
    }
  }
  if (start < cells.length || rows.length === 0) add(start, cells.length);
  return rows;
}

function skipBlanks(cells: string, from: number): number {
  let at = from;
  while (cells[at] === " ") at++;
  return at;
}
