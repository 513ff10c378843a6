import type { ElfBytes } from "./elf-bytes";

/** A table of relocations, by the file's own addresses. */
export interface RelocationTable {
  readonly address: bigint;
  /** In bytes. */
  readonly size: number;
  /** Whether its records have an addend (Elf64_Rela). */
  readonly hasAddend: boolean;
}

/** A place that the dynamic loader fills with the address of a symbol. */
export interface ImportSlot {
  /** By the file's own addresses. */
  readonly address: bigint;
  /** The index of the symbol in the table of dynamic symbols. */
  readonly symbol: number;
}

/** R_X86_64_GLOB_DAT and R_X86_64_JUMP_SLOT, and those of i386: the same numbers (System V ABI). */
const SLOT_TYPES = [6, 7];
const LARGEST_TABLE = 0x1000000;

/** Lists the places that hold the address of a symbol alone, those for functions first bound when they are called included. */
export function* listImportSlots(elf: ElfBytes, tables: readonly RelocationTable[]): IterableIterator<ImportSlot> {
  const isWide = elf.header.bits === 64;
  for (const { address, size, hasAddend } of tables) {
    const record = (isWide ? 8 : 4) * (hasAddend ? 3 : 2);
    const bytes = elf.findAddress(address, Math.min(size, LARGEST_TABLE));
    if (!bytes) continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = 0; at + record <= view.byteLength; at += record) {
      // r_info: the symbol above, the type in the low 32 or 8 bits.
      const info = isWide ? view.getUint32(at + 8, true) : view.getUint32(at + 4, true) & 0xff;
      const symbol = isWide ? view.getUint32(at + 12, true) : view.getUint32(at + 4, true) >>> 8;
      if (!SLOT_TYPES.includes(info) || symbol === 0) continue;
      yield { address: isWide ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true)), symbol };
    }
  }
}
