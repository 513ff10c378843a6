import { randomUUID } from "node:crypto";
import { VolatilityError } from "../errors";

/** An address is a bigint, in the kernel's half of the address space with all its bits; what a plugin does not know is null. */
export type VolatilityValue = string | number | bigint | boolean | null;

/** A row: its columns by their names, and the rows below it in a tree. */
export interface VolatilityRow {
  readonly [column: string]: VolatilityValue | readonly VolatilityRow[];
  readonly __children: readonly VolatilityRow[];
}

type PlainRow = Record<string, unknown> & { __children: PlainRow[] };

/** Columns of this name hold addresses when they hold whole numbers: Volatility's JSON does not say it. */
const ADDRESS = /\b(offset|addr|address|start|end|base|pointer|handler|ops|virtual|physical)\b/i;
/** Longer numbers lose digits in JavaScript. */
const LONG_NUMBER = /"(?:[^"\\]|\\.)*"|-?\b\d{16,}\b(?![.eE\d])|\bNaN\b|-?\bInfinity\b/g;
const DEEPEST = 10_000;

/**
 * Reads what `vol -r json` prints.
 *
 * @param bits of the guest's addresses: of 64, Volatility prints the 48 that count
 * @throws VolatilityError when it is no JSON, or has another form
 */
export function parseVolatilityRows(text: string, bits: 32 | 64): VolatilityRow[] {
  const rows = parse(text);
  if (!Array.isArray(rows)) throw wrongForm("it is no list of rows");
  const columns = new Map<string, "address" | "number" | "other">();
  walk(rows, (row) => {
    for (const [name, value] of Object.entries(row)) {
      if (name === "__children" || value === null) continue;
      const isAddress = typeof value === "bigint" || (Number.isSafeInteger(value) && ADDRESS.test(name));
      const before = columns.get(name);
      const isNumber = typeof value === "bigint" || typeof value === "number";
      if (!isNumber) columns.set(name, "other");
      else if (isAddress && before !== "other") columns.set(name, "address");
      else if (before === undefined) columns.set(name, "number");
    }
  });
  walk(rows, (row) => {
    for (const [name, kind] of columns) {
      const value = row[name];
      if (kind === "address" && (typeof value === "number" || typeof value === "bigint"))
        row[name] = widen(value, bits);
    }
  });
  return rows as unknown as VolatilityRow[];
}

/** The guest chooses many texts, so the mark of a long number is one that it cannot know. */
function parse(text: string): unknown {
  const mark = `${randomUUID()}:`;
  const marked = text.replace(LONG_NUMBER, (found) => {
    if (found.startsWith('"')) return found;
    return /\d/.test(found) ? `"${mark}${found}"` : "null";
  });
  try {
    return JSON.parse(marked, (_, value: unknown) =>
      typeof value === "string" && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
    );
  } catch (error) {
    throw wrongForm((error as Error).message);
  }
}

function walk(rows: unknown, visit: (row: PlainRow) => void): void {
  const waiting: { row: unknown; depth: number }[] = (rows as unknown[]).map((row) => ({ row, depth: 0 }));
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { row, depth } = next;
    if (typeof row !== "object" || row === null || Array.isArray(row)) throw wrongForm("a row is no object");
    if (depth > DEEPEST) throw wrongForm(`rows are within each other more than ${DEEPEST} deep`);
    const plain = row as PlainRow;
    plain.__children ??= [];
    if (!Array.isArray(plain.__children)) throw wrongForm("what is below a row is no list");
    for (const child of plain.__children) waiting.push({ row: child, depth: depth + 1 });
    visit(plain);
  }
}

function widen(value: number | bigint, bits: 32 | 64): bigint {
  const address = BigInt(value);
  const isCut = bits === 64 && address >= 0n && address < 1n << 48n;
  return isCut ? BigInt.asUintN(64, BigInt.asIntN(48, address)) : BigInt.asUintN(64, address);
}

function wrongForm(problem: string): VolatilityError {
  return new VolatilityError("output", `what Volatility printed cannot be read: ${problem}`);
}
