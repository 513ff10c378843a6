/**
 * The source of an ELF file's bytes: the file, what is mapped of it, or both. Either may have holes: a page cache keeps
 * some pages of a file, and a process maps some of its parts.
 */
export interface ElfSource {
  /** Reads the file; undefined when one of the bytes cannot be read. */
  readonly readFile?: (offset: number, size: number) => Uint8Array | undefined;
  /** Reads the memory of a process that has mapped the file; undefined when one of the bytes cannot be read. */
  readonly readMemory?: (address: bigint, size: number) => Uint8Array | undefined;
  /** The address at which the process has mapped the file's first byte; needed for readMemory. */
  readonly base?: bigint;
}

/** Pages are read one by one: where one is missing, the others still count. */
const PAGE = 4096;

/** Makes the source of a file that is in memory as a whole. */
export function elfSourceOf(bytes: Uint8Array): ElfSource {
  return {
    readFile: (offset, size) =>
      offset >= 0 && offset + size <= bytes.length ? bytes.subarray(offset, offset + size) : undefined,
  };
}

/**
 * Reads a range of which parts may be missing; those are zero.
 *
 * @param size in bytes; the caller bounds it
 * @param read undefined when one of the bytes cannot be read
 * @returns the bytes, and how many of them could be read
 */
export function readWithHoles(
  start: bigint,
  size: number,
  read: (start: bigint, size: number) => Uint8Array | undefined,
): { readonly bytes: Uint8Array; readonly found: number } {
  const whole = size <= PAGE ? read(start, size) : undefined;
  if (whole?.length === size) return { bytes: whole, found: size };
  const bytes = new Uint8Array(size);
  let found = 0;
  for (let done = 0; done < size;) {
    const at = start + BigInt(done);
    const part = Math.min(size - done, PAGE - Number(at & BigInt(PAGE - 1)));
    const piece = read(at, part);
    if (piece?.length === part) {
      bytes.set(piece, done);
      found += part;
    }
    done += part;
  }
  return { bytes, found };
}
