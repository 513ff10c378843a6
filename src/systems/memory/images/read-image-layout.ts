import { isCrashDump, readCrashDump } from "./crash-dump";
import { readElfCore } from "./elf-core";
import { ImageError } from "../../errors";
import type { FileBytes, ImageLayout } from "./image-layout";
import { isLime, readLime } from "./lime-image";

const PAGE = 0x1000;
/** No machine that runs a kernel has less. */
const SMALLEST = 0x100000;

/** The first bytes of files of other formats, with advice on what to do about them. */
const OTHERS: readonly (readonly [start: string, what: string])[] = [
  ["KDUMP   ", "a compressed kdump image: make an ELF core instead, dump-guest-memory without -z, -l and -s"],
  ["makedumpfile", "a flattened kdump image: make an ELF core of it with makedumpfile -E"],
  ["DISKDUMP", "a diskdump image: make an ELF core instead"],
  ["QFI\xfb", "a disk image (qcow2), not one of memory"],
  ["QEVM", "a saved state of QEMU (migration or savevm): load it into a machine and dump that"],
  ["\xd2\xbe\xd2\xbe", "a saved state of VMware: give the .vmem file beside it"],
  ["\x1f\x8b", "compressed by gzip: gunzip it first"],
  ["\xfd7zXZ", "compressed by xz: unxz it first"],
  ["BZh", "compressed by bzip2: bunzip2 it first"],
  ["PK\x03\x04", "a zip archive: unpack it first"],
];

/**
 * Reads what a file says about where memory lies in it. A file without a header is raw: physical addresses are its offsets.
 *
 * @throws ImageError that says what the file is instead, or what is wrong with it
 */
export function readImageLayout(file: FileBytes): ImageLayout {
  const start = file.read(0, Math.min(16, file.size));
  if (start.toString("latin1", 0, 4) === "\x7fELF") return readElfCore(file);
  if (isLime(start)) return readLime(file);
  if (isCrashDump(start)) return readCrashDump(file);
  const other = OTHERS.find(([magic]) => start.toString("latin1").startsWith(magic));
  if (other) throw new ImageError(other[1]);
  if (file.size < SMALLEST) throw new ImageError(`no memory image: it has ${file.size} bytes, less than any machine`);
  if (file.size % PAGE !== 0) {
    throw new ImageError(
      `no ELF core, no LiME image, no crash dump, and no raw one: its ${file.size} bytes are no whole pages`,
    );
  }
  return { format: "raw", parts: [{ address: 0, offset: 0, size: file.size }], cpus: [] };
}
