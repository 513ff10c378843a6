import type { GuestBytes } from "../arguments/memory-place";
import type { DataResult } from "../command-result";
import type { AddressNamer } from "./address-namer";

const ROW = 16;

/** The content of a dump. */
export interface DumpOptions {
  readonly address: bigint;
  readonly memory: GuestBytes;
  /** The size of one element, in bytes. */
  readonly width: 1 | 2 | 4 | 8;
  /** The size of addresses in this guest, in bytes: elements of this size get the name of their target. */
  readonly pointerSize: number;
  readonly namer: AddressNamer;
}

/**
 * Shows memory in rows of 16 bytes: address, elements, and the bytes as text or the names of the addresses among them.
 *
 * @returns as data the values, null for bytes that cannot be read, and for each the name of its target
 */
export function dumpMemory({ address, memory, width, pointerSize, namer }: DumpOptions): DataResult {
  const values: (bigint | null)[] = [];
  const pointers: (string | null)[] = [];
  const lines: string[] = [];
  const start = namer.find(address);
  if (start !== undefined) lines.push(`${start}:`);
  for (let row = 0; row < memory.bytes.length; row += ROW) {
    const cells: string[] = [];
    const names: string[] = [];
    for (let at = row; at < Math.min(row + ROW, memory.bytes.length); at += width) {
      const value = readElement(memory, at, width);
      values.push(value ?? null);
      cells.push(value === undefined ? "?".repeat(width * 2) : value.toString(16).padStart(width * 2, "0"));
      const name = value !== undefined && width === pointerSize ? namer.find(value) : undefined;
      pointers.push(name ?? null);
      if (name !== undefined) names.push(name);
    }
    const place = BigInt.asUintN(64, address + BigInt(row))
      .toString(16)
      .padStart(pointerSize * 2, "0");
    const shown = cells.join(" ").padEnd((ROW / width) * (width * 2 + 1) - 1);
    lines.push(`${place}  ${shown}  ${width === pointerSize ? names.join(" ") : toText(memory, row)}`.trimEnd());
  }
  return { kind: "data", text: lines.join("\n"), data: { address, width, values, names: pointers } };
}

function readElement({ bytes, has }: GuestBytes, at: number, width: number): bigint | undefined {
  if (!has(at) || !has(at + width - 1)) return undefined;
  let value = 0n;
  for (let index = width - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[at + index] ?? 0);
  return value;
}

/** Shows printable ASCII; everything else is a dot. */
function toText({ bytes, has }: GuestBytes, row: number): string {
  return [...bytes.subarray(row, row + ROW)]
    .map((byte, index) => (!has(row + index) ? "?" : byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."))
    .join("");
}
