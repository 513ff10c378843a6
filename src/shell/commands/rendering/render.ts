import { toPlainLine, toPlainText } from "../../../config/terminal-text";
import type { CommandResult, CommandValue, RowsResult } from "../command-result";

/**
 * Shows a result as plain text. Nothing in it can reach the terminal as a control character.
 *
 * @returns lines without a line feed at the end; empty when there is nothing to say
 */
export function renderText(result: CommandResult): string {
  if (result.kind === "rows") return renderRows(result);
  return toPlainText(result.text).replace(/\n+$/, "");
}

/** Shows one value in a line: a bigint in hexadecimal, a number in decimal. */
export function renderValue(value: CommandValue): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "bigint") return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
  if (typeof value === "string") return toPlainLine(value);
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return (value as readonly CommandValue[]).map(renderValue).join(" ");
  const entries = Object.entries(value as Readonly<Record<string, CommandValue>>);
  return entries.map(([name, inner]) => `${toPlainLine(name)}=${renderValue(inner)}`).join(" ");
}

function renderRows({ columns, rows, note }: RowsResult): string {
  const lines: string[] = [];
  if (rows.length > 0) {
    const cells = [columns, ...rows.map((row) => columns.map((column) => renderValue(row[column])))];
    const widths = columns.map((_, index) =>
      cells.reduce((widest, line) => Math.max(widest, (line[index] as string).length), 0),
    );
    const isNumber = columns.map((column) => rows.every((row) => typeof row[column] === "number"));
    for (const line of cells) {
      const shown = line.map((cell, index) =>
        isNumber[index] ? cell.padStart(widths[index] as number) : cell.padEnd(widths[index] as number),
      );
      lines.push(shown.join("  ").trimEnd());
    }
  }
  if (note !== undefined) lines.push(toPlainText(note));
  else if (rows.length === 0) lines.push("nothing found");
  return lines.join("\n");
}

/** JSON without bigint: see renderJson(). */
export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/**
 * Shows a result as data: of rows the list of them, of sentences the text. A bigint becomes a string in hexadecimal ("0x1f"),
 * since JSON's numbers are exact up to 2 to the 53 only.
 */
export function renderJson(result: CommandResult): JsonValue {
  if (result.kind === "rows") return toJson(result.rows);
  return toJson(result.kind === "data" ? result.data : result.text);
}

function toJson(value: CommandValue): JsonValue {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
  if (typeof value !== "object") return value;
  if (Array.isArray(value)) return (value as readonly CommandValue[]).map(toJson);
  const entries = Object.entries(value as Readonly<Record<string, CommandValue>>);
  return Object.fromEntries(
    entries.filter(([, inner]) => inner !== undefined).map(([name, inner]) => [name, toJson(inner)]),
  );
}
