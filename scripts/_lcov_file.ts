/** Makes a file of lcov, as genhtml and editors read it, out of executed blocks and the lines of a program: for coverage. */
import type { LineRow } from "./_dwarf_lines";

/**
 * Writes which lines were executed.
 *
 * @param rows of the program
 * @param blocks sizes in bytes by the distance from where the program's first byte is mapped
 * @param lowest the address that this byte was linked for
 * @returns the text, and how many lines of how many were executed
 */
export function writeLcov(rows: readonly LineRow[], blocks: ReadonlyMap<number, number>, lowest: number) {
  const ranges = mergeBlocks(blocks, lowest);
  const files = new Map<string, Map<number, boolean>>();
  for (const { address, end, file, line, isStatement } of rows) {
    if (line === 0 || !isStatement) continue;
    const lines = files.get(file) ?? new Map<number, boolean>();
    files.set(file, lines);
    lines.set(line, lines.get(line) === true || isExecuted(ranges, address, end));
  }
  let [executed, all] = [0, 0];
  const parts = [...files].sort(([one], [other]) => (one < other ? -1 : 1)).map(([file, lines]) => {
    const sorted = [...lines].sort(([one], [other]) => one - other);
    const hit = sorted.filter(([, is]) => is).length;
    executed += hit;
    all += sorted.length;
    const data = sorted.map(([line, is]) => `DA:${line},${is ? 1 : 0}\n`).join("");
    return `TN:\nSF:${file.replace(/\p{Cc}/gu, "_")}\n${data}LF:${sorted.length}\nLH:${hit}\nend_of_record\n`;
  }); // prettier-ignore
  return { text: parts.join(""), executed, all };
}

/** Finds the address that the first byte of a program was linked for: that of its first segment that is loaded (elf(5)). */
export function findLowestAddress(file: Uint8Array): number {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const [table, size, count] = [
    Number(view.getBigUint64(32, true)),
    view.getUint16(54, true),
    view.getUint16(56, true),
  ];
  for (let index = 0; index < count; index++) {
    const at = table + index * size;
    if (view.getUint32(at, true) === 1) return Number(view.getBigUint64(at + 16, true)) & ~0xfff;
  }
  return 0;
}

/** Sorts the blocks, and joins those that lie on each other: a block may begin within another one. */
function mergeBlocks(blocks: ReadonlyMap<number, number>, lowest: number): readonly (readonly [number, number])[] {
  const merged: [number, number][] = [];
  for (const [offset, size] of [...blocks].sort(([one], [other]) => one - other)) {
    const [from, to] = [lowest + offset, lowest + offset + size];
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** Whether something was executed of a range of addresses. */
function isExecuted(ranges: readonly (readonly [number, number])[], from: number, to: number): boolean {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[middle]![1] <= from) low = middle + 1;
    else high = middle;
  }
  const found = ranges[low];
  return found !== undefined && found[0] < to;
}
