import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/** A frame of a pcapng file. */
export interface PcapngFrame {
  /** As hexadecimal digits. */
  readonly frame: string;
  readonly comment: string | undefined;
  readonly isSent: boolean;
}

/** Reads the frames of a pcapng file of one little-endian section, block by block. */
export function readPcapng(path: string): PcapngFrame[] {
  const file = readFileSync(path);
  assert.equal(file.readUInt32LE(0), 0x0a0d0d0a);
  assert.equal(file.readUInt32LE(8), 0x1a2b3c4d);
  const frames: PcapngFrame[] = [];
  for (let at = 0; at < file.length;) {
    const [type, size] = [file.readUInt32LE(at), file.readUInt32LE(at + 4)];
    assert.equal(file.readUInt32LE(at + size - 4), size, "a block has its size at both ends");
    if (type === 6) frames.push(readPacket(file.subarray(at + 8, at + size - 4)));
    at += size;
  }
  return frames;
}

function readPacket(block: Buffer): PcapngFrame {
  const size = block.readUInt32LE(12);
  assert.equal(block.readUInt32LE(16), size);
  let comment: string | undefined;
  let isSent: boolean | undefined;
  for (let at = 20 + Math.ceil(size / 4) * 4; at < block.length;) {
    const [code, length] = [block.readUInt16LE(at), block.readUInt16LE(at + 2)];
    if (code === 1) comment = block.toString("utf8", at + 4, at + 4 + length);
    if (code === 2) isSent = (block.readUInt32LE(at + 4) & 3) === 2;
    at += 4 + Math.ceil(length / 4) * 4;
  }
  assert.notEqual(isSent, undefined);
  return { frame: block.toString("hex", 20, 20 + size), comment, isSent: isSent! };
}
