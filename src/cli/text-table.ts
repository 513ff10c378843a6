import { toColouredText } from "../config/terminal-text";

/** Writes rows as a table, each column as wide as its widest cell: one line for each row, without what could steer the terminal. */
export function renderTable(rows: readonly (readonly string[])[]): string {
  const all = rows.map((row) => row.map((cell) => toColouredText(cell).split("\n")[0]!));
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}
