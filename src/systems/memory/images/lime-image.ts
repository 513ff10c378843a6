import { checkParts } from "./elf-core";
import { ImageError } from "../../errors";
import type { FileBytes, ImageLayout, ImagePart } from "./image-layout";

/** "LiME", little endian. */
const MAGIC = 0x4c694d45;
const VERSION = 1;
/** magic, version, first address, last address, 8 bytes that are 0 (LiME's lime_mem_range_header). */
export const LIME_HEADER_SIZE = 32;
const MOST_PARTS = 0x10000;

/** Returns whether a file begins as a LiME image does. */
export function isLime(start: Buffer): boolean {
  return start.length >= 4 && start.readUInt32LE(0) === MAGIC;
}

/**
 * Reads the layout of a LiME image: each range of memory follows a header of its own.
 *
 * @throws ImageError when it is cut off, padded, or damaged
 */
export function readLime(file: FileBytes): ImageLayout {
  const parts: ImagePart[] = [];
  for (let at = 0; at < file.size;) {
    if (at + LIME_HEADER_SIZE > file.size) {
      throw new ImageError(`the LiME image is cut off: it ends within the header at byte ${at}`);
    }
    const header = file.read(at, LIME_HEADER_SIZE);
    if (header.readUInt32LE(0) !== MAGIC)
      throw new ImageError(`the LiME image is damaged: there is no header at byte ${at}`);
    const version = header.readUInt32LE(4);
    if (version !== VERSION)
      throw new ImageError(`a LiME image of version ${version}: only version ${VERSION} is known`);
    const first = header.readBigUInt64LE(8);
    const last = header.readBigUInt64LE(16);
    if (last < first || last >= 1n << 52n) {
      throw new ImageError(`the LiME image is damaged: the header at byte ${at} has a range that no machine has`);
    }
    if (parts.length === MOST_PARTS) throw new ImageError(`the LiME image has more than ${MOST_PARTS} ranges`);
    const size = Number(last - first) + 1;
    parts.push({ address: Number(first), offset: at + LIME_HEADER_SIZE, size });
    at += LIME_HEADER_SIZE + size;
  }
  parts.sort((a, b) => a.address - b.address);
  checkParts(parts, file.size);
  return { format: "lime", parts, cpus: [] };
}

/** Makes the header of a range. */
export function makeLimeHeader({ address, size }: { readonly address: number; readonly size: number }): Buffer {
  const header = Buffer.alloc(LIME_HEADER_SIZE);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(VERSION, 4);
  header.writeBigUInt64LE(BigInt(address), 8);
  header.writeBigUInt64LE(BigInt(address + size - 1), 16);
  return header;
}
