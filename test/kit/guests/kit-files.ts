import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { GuestKit } from "./guest-kits";

const HEADER_SIZE = 110;

/** Reads the files of a kit's initramfs, by their path in the guest; links are left out (cpio(5), "New ASCII Format"). */
export function readKitFiles({ initramfs }: GuestKit): Map<string, Buffer> {
  const archive = gunzipSync(readFileSync(initramfs));
  const files = new Map<string, Buffer>();
  for (let at = 0; archive.toString("latin1", at, at + 6) === "070701";) {
    const field = (index: number): number =>
      parseInt(archive.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const name = archive.toString("utf8", at + HEADER_SIZE, at + HEADER_SIZE + nameSize - 1);
    const content = at + Math.ceil((HEADER_SIZE + nameSize) / 4) * 4;
    if ((mode & 0xf000) === 0x8000)
      files.set(`/${name.replace(/^\.?\//, "")}`, archive.subarray(content, content + size));
    at = content + Math.ceil(size / 4) * 4;
  }
  return files;
}
