import type { Limit, ResultRow } from "./result-row";

const HEADINGS = ["name", "rebox", "plain", "unit", "ratio", "limit", "kept"];

/** Shows about four digits, and a ratio's third decimal. */
function format(value: number | undefined): string {
  if (value === undefined) {
    return "";
  }
  const size = Math.abs(value);
  return value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3);
}

function formatLimit(limit: Limit | undefined): string {
  if (!limit) {
    return "";
  }
  return `${limit.of === "ratio" ? "ratio " : ""}${limit.bound === "at most" ? "<=" : ">="} ${limit.value}`;
}

/** Makes a text table of a result, one line for each row. */
export function formatTable(rows: readonly ResultRow[]): string {
  const cells = rows.map((row) => [
    row.name,
    format(row.rebox),
    format(row.plain),
    row.unit,
    row.ratio?.toFixed(3) ?? "",
    formatLimit(row.limit),
    row.ok === undefined ? "" : row.ok ? "ok" : "OVER",
  ]);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => (row[column] as string).length)),
  );
  const isNumber = [false, true, true, false, true, false, false];
  const align = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        isNumber[column] ? cell.padStart(widths[column] as number) : cell.padEnd(widths[column] as number),
      )
      .join("  ")
      .trimEnd();
  return [align(HEADINGS), align(widths.map((width) => "-".repeat(width))), ...cells.map(align)].join("\n");
}
