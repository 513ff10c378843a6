import type { LinuxGuest } from "../../systems/linux/linux-guest";

/** So many mappings in front of code may belong to the same program in memory. */
const MOST_PARTS = 4;
const HEADER_SIZE = 64;
/** elf(5): the first bytes of a file of 64 bits, and types of files. */
const MAGIC = Buffer.from("\x7fELF\x02", "latin1");
const [ET_EXEC, ET_DYN] = [2, 3];

/** Code in the memory of a process. */
export interface CodePlace {
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
  /** The address of the mm_struct. */
  readonly mm: bigint;
  readonly pgd: bigint;
  /** The first address that is executed. */
  readonly first: bigint;
}

/**
 * Guesses the entry point of code that was unpacked: the one that the header of an ELF file names which lies in front of the code, as an
 * unpacked program has it; else the first address that is executed. Packers go a last step in the program's memory before its entry.
 */
export function guessEntry(guest: LinuxGuest, { start, end, mm, pgd, first }: CodePlace): bigint {
  const mappings = guest.maps.read(mm);
  let index = mappings.findIndex((one) => start >= one.start && start < one.end);
  for (let parts = 0; index >= 0 && parts < MOST_PARTS; parts++) {
    const base = mappings[index]!.start;
    const header = guest.kernel.space(pgd).readSome(base, HEADER_SIZE);
    if (header.length === HEADER_SIZE && header.subarray(0, MAGIC.length).equals(MAGIC)) {
      const type = header.readUInt16LE(16);
      const entry = header.readBigUInt64LE(24);
      const address = type === ET_DYN ? base + entry : entry;
      return (type === ET_DYN || type === ET_EXEC) && address >= start && address < end ? address : first;
    }
    index = index > 0 && mappings[index - 1]!.end === base ? index - 1 : -1;
  }
  return first;
}
