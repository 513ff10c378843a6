import type { VirtualMemory } from "../../memory/virtual-memory";
import { parsePeHeader, PE_HEADER_SIZE } from "./pe-header";

/** The source of an image's bytes by their RVA: a file, or the memory that the image is mapped to. */
export interface PeSource {
  /** Reads a part of the image; undefined when one of the bytes is not there. */
  read(rva: number, size: number): Uint8Array | undefined;
}

/**
 * Makes the source of a PE file, which has its sections elsewhere than the image in memory.
 *
 * @throws PeError when it is no PE file
 */
export function peSourceOfFile(bytes: Uint8Array): PeSource {
  const header = parsePeHeader(bytes.subarray(0, PE_HEADER_SIZE));
  const cut = (start: number, size: number): Uint8Array | undefined =>
    start >= 0 && start + size <= bytes.length ? bytes.subarray(start, start + size) : undefined;
  return {
    read: (rva, size) => {
      if (rva + size <= header.headersSize) return cut(rva, size);
      const section = header.sections.find((one) => rva >= one.rva && rva + size <= one.rva + one.size);
      if (!section) return undefined;
      const at = rva - section.rva;
      const inFile = Math.min(size, Math.max(0, section.fileSize - at));
      const found = inFile === 0 ? new Uint8Array() : cut(section.fileOffset + at, inFile);
      if (found === undefined || inFile === size) return found;
      // Behind what the file has of a section, memory is zero.
      const whole = new Uint8Array(size);
      whole.set(found);
      return whole;
    },
  };
}

/** Makes the source of an image in memory. */
export function peSourceOfMemory(memory: Pick<VirtualMemory, "readSome">, base: bigint): PeSource {
  return {
    read: (rva, size) => {
      const bytes = memory.readSome(base + BigInt(rva), size);
      return bytes.length === size ? bytes : undefined;
    },
  };
}
