import { PeError } from "../../errors";

/** The headers of an image lie in its first page, or the few after it; 64 KiB are enough for 96 sections anywhere in it. */
export const PE_HEADER_SIZE = 0x1000;
/** The most sections that Windows loads. */
const MOST_SECTIONS = 96;
const SECTION_SIZE = 40;
const FILE_HEADER = 24;
const MOST_DIRECTORIES = 16;

/** Numbers of processors (PE format, machine types). */
const MACHINES: ReadonlyMap<number, 32 | 64> = new Map([
  [0x14c, 32],
  [0x8664, 64],
]);

/** Numbers of directories (PE format, optional header data directories). */
export const PeDirectory = { exports: 0, exceptions: 3, debug: 6 } as const;

/** A piece of an image. */
export interface PePart {
  readonly rva: number;
  /** In bytes. */
  readonly size: number;
}

/** A section of an image. */
export interface PeSection extends PePart {
  readonly name: string;
  readonly fileOffset: number;
  readonly fileSize: number;
  readonly characteristics: number;
}

/** The header of a PE image, for x86. */
export interface PeHeader {
  readonly bits: 32 | 64;
  /** A time, or since Windows 10 a hash of the content; with `imageSize` the key by which images are asked for. */
  readonly timeDateStamp: number;
  /** The address that the image was linked for. */
  readonly preferredBase: bigint;
  /** In memory, in bytes. */
  readonly imageSize: number;
  readonly headersSize: number;
  readonly entryPoint: number;
  /** By their number; those that the image has not are empty. */
  readonly directories: readonly PePart[];
  readonly sections: readonly PeSection[];
}

/**
 * Parses the headers of an image (https://learn.microsoft.com/windows/win32/debug/pe-format). Sections whose header lies
 * behind the given bytes are left out.
 *
 * @param bytes the image's first bytes, at best PE_HEADER_SIZE of them
 * @throws PeError when they are not those of a PE image for x86
 */
export function parsePeHeader(bytes: Uint8Array): PeHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const need = (end: number): void => {
    if (end > bytes.length) throw new PeError(`the headers of the PE image end after ${bytes.length} bytes`);
  };
  if (bytes.length < 64 || view.getUint16(0, true) !== 0x5a4d) {
    throw new PeError("this is no PE image: it does not begin with MZ");
  }
  const at = view.getUint32(60, true);
  need(at + FILE_HEADER + 2);
  if (view.getUint32(at, true) !== 0x4550) throw new PeError("this is a program for DOS: it has no PE header");
  const machine = view.getUint16(at + 4, true);
  const bits = MACHINES.get(machine);
  if (bits === undefined)
    throw new PeError(`a PE image for the processor 0x${machine.toString(16)}: only x86 is known`);
  const optional = at + FILE_HEADER;
  const optionalSize = view.getUint16(at + 20, true);
  const magic = view.getUint16(optional, true);
  if (magic !== (bits === 64 ? 0x20b : 0x10b)) {
    throw new PeError(`a PE image of ${bits} bits with an optional header of the kind 0x${magic.toString(16)}`);
  }
  const directoriesAt = optional + (bits === 64 ? 112 : 96);
  need(directoriesAt);
  const count = Math.min(view.getUint32(directoriesAt - 4, true), MOST_DIRECTORIES);
  need(directoriesAt + count * 8);
  return {
    bits,
    timeDateStamp: view.getUint32(at + 8, true),
    preferredBase: bits === 64 ? view.getBigUint64(optional + 24, true) : BigInt(view.getUint32(optional + 28, true)),
    imageSize: view.getUint32(optional + 56, true),
    headersSize: view.getUint32(optional + 60, true),
    entryPoint: view.getUint32(optional + 16, true),
    directories: Array.from({ length: MOST_DIRECTORIES }, (_, index) => {
      const entry = directoriesAt + index * 8;
      if (index >= count) return { rva: 0, size: 0 };
      return { rva: view.getUint32(entry, true), size: view.getUint32(entry + 4, true) };
    }),
    sections: parseSections(bytes, optional + optionalSize, view.getUint16(at + 6, true)),
  };
}

function parseSections(bytes: Uint8Array, start: number, count: number): PeSection[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const sections: PeSection[] = [];
  for (let index = 0; index < Math.min(count, MOST_SECTIONS); index++) {
    const at = start + index * SECTION_SIZE;
    if (at + SECTION_SIZE > bytes.length) break;
    const name = Buffer.from(bytes.subarray(at, at + 8))
      .toString("latin1")
      .replace(/\0.*$/s, "");
    const size = view.getUint32(at + 8, true);
    const fileSize = view.getUint32(at + 16, true);
    sections.push({
      name,
      rva: view.getUint32(at + 12, true),
      // Old linkers leave the size in memory 0: it is that in the file then.
      size: size === 0 ? fileSize : size,
      fileOffset: view.getUint32(at + 20, true),
      fileSize,
      characteristics: view.getUint32(at + 36, true),
    });
  }
  return sections;
}
