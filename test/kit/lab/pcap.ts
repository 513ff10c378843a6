import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/** Reads the frames of a pcap file, in order and as hexadecimal digits. */
export function readPcap(path: string): string[] {
  const file = readFileSync(path);
  assert.equal(file.readUInt32LE(0), 0xa1b2c3d4);
  const frames: string[] = [];
  for (let at = 24; at < file.length;) {
    const size = file.readUInt32LE(at + 8);
    frames.push(file.toString("hex", at + 16, at + 16 + size));
    at += 16 + size;
  }
  return frames;
}
