import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from "node:fs";

/** The source of a PDB file's bytes, which may be large: only the needed parts are read. */
export interface PdbSource {
  /** In bytes. */
  readonly size: number;
  /** Reads a part of the file; undefined when one of the bytes is not there. */
  read(offset: number, size: number): Uint8Array | undefined;
}

/** Makes the source of a file that is in memory as a whole. */
export function pdbSourceOf(bytes: Uint8Array): PdbSource {
  return {
    size: bytes.length,
    read: (offset, size) => (offset + size <= bytes.length ? bytes.subarray(offset, offset + size) : undefined),
  };
}

/** Files up to this size are read at once, in some milliseconds: a kernel's has 10 MB. */
const SMALL = 0x4000000;

/**
 * Opens a PDB file. One that is small is read as a whole and closed; a large one stays open.
 *
 * @throws Error of the system when it cannot be read
 */
export function openPdbSource(path: string): PdbSource {
  return statSync(path).size <= SMALL ? pdbSourceOf(readFileSync(path)) : new PdbFileSource(path);
}

/** A PDB file that is open: its parts are read when they are asked for. */
export class PdbFileSource implements PdbSource {
  readonly size: number;
  readonly #descriptor: number;

  /** @throws Error of the system when the file cannot be opened */
  constructor(path: string) {
    this.#descriptor = openSync(path, "r");
    this.size = fstatSync(this.#descriptor).size;
  }

  read(offset: number, size: number): Uint8Array | undefined {
    const bytes = Buffer.allocUnsafe(size);
    return readSync(this.#descriptor, bytes, 0, size, offset) === size ? bytes : undefined;
  }

  /** Closes the file. Parts that were read stay readable. */
  close(): void {
    closeSync(this.#descriptor);
  }
}
