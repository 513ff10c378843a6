/** Reads the build id of a program or library out of the memory of a process; for coverage. */
import { MemoryError, readVa } from "rebox";

const PAGE = 4096;
const PT_NOTE = 4;
const NT_GNU_BUILD_ID = 3;
const LONGEST = 64;
/** Offsets in Elf64_Ehdr and Elf32_Ehdr, and in their program headers (elf(5)). */
const LAYOUTS = {
  2: { table: 32, size: 54, count: 56, offset: 8, length: 32, isWide: true },
  1: { table: 28, size: 42, count: 44, offset: 4, length: 16, isWide: false },
} as const;

/**
 * Finds the build id.
 *
 * @param base where the file's first byte is mapped
 * @returns in hexadecimal; undefined when there is none in the file's first page, or that is not in memory
 */
export function findBuildId(pgd: bigint, base: bigint): string | undefined {
  try {
    return parse(readVa(pgd, base, PAGE));
  } catch (error) {
    if (error instanceof MemoryError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function parse(page: Uint8Array): string | undefined {
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  const layout = LAYOUTS[view.getUint8(4) as 1 | 2];
  if (view.getUint32(0, false) !== 0x7f454c46 || layout === undefined) return undefined;
  const word = (at: number) => (layout.isWide ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true));
  const table = word(layout.table);
  for (let index = 0; index < view.getUint16(layout.count, true); index++) {
    const at = table + index * view.getUint16(layout.size, true);
    if (view.getUint32(at, true) !== PT_NOTE) continue;
    const found = findNote(view, word(at + layout.offset), word(at + layout.length));
    if (found !== undefined) return found;
  }
  return undefined;
}

function findNote(view: DataView, from: number, length: number): string | undefined {
  const to = Math.min(from + length, view.byteLength);
  for (let at = from; at + 16 <= to;) {
    const [nameSize, size, type] = [
      view.getUint32(at, true),
      view.getUint32(at + 4, true),
      view.getUint32(at + 8, true),
    ];
    const start = at + 12 + Math.ceil(nameSize / 4) * 4;
    if (start + size > to) return undefined;
    // "GNU" and its zero byte.
    if (type === NT_GNU_BUILD_ID && nameSize === 4 && view.getUint32(at + 12, true) === 0x00554e47 && size <= LONGEST) {
      return Array.from({ length: size }, (_, index) =>
        view
          .getUint8(start + index)
          .toString(16)
          .padStart(2, "0"),
      ).join("");
    }
    at = start + Math.ceil(size / 4) * 4;
  }
  return undefined;
}
