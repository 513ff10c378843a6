import type { PaneSize } from "./pane";
import { toCells } from "./styled-line";

/** Returns as many rows of the end as there is room for. @param below how many rows from the end to leave out */
export function renderEnd(lines: readonly string[], { width, height }: PaneSize, below: number): string[] {
  // Each line gives a row at least.
  const rows = wrapLines(lines.slice(-(height + below)), width);
  return rows.slice(Math.max(0, rows.length - below - height), rows.length - below);
}

/** Returns lines as rows: what is longer than the width, in cells, is continued in the next row. */
export function wrapLines(lines: readonly string[], width: number): string[] {
  return lines.flatMap((line) => {
    const cells = toCells(line.replace(/\t/g, "    "));
    const rows = [cells.slice(0, width)];
    for (let at = width; at < cells.length; at += width) rows.push(cells.slice(at, at + width));
    return rows;
  });
}
