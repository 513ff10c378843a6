import assert from "node:assert/strict";
import { inflateSync } from "node:zlib";

/** The pixels of a picture as rows of "rrggbb". */
export type Pixels = readonly (readonly string[])[];

/** Reads a PNG file of eight bits a colour without interlace, with all five filters, and checks its chunks. */
export function readPngPixels(file: Buffer): Pixels {
  assert.equal(file.toString("latin1", 0, 8), "\x89PNG\r\n\x1a\n");
  const data: Buffer[] = [];
  let header: Buffer | undefined;
  for (let at = 8; at < file.length;) {
    const length = file.readUInt32BE(at);
    const type = file.toString("latin1", at + 4, at + 8);
    if (type === "IHDR") header = file.subarray(at + 8, at + 8 + length);
    if (type === "IDAT") data.push(file.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  assert.ok(header);
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  assert.deepEqual([header[8], header[9], header[12]], [8, 2, 0]);
  const lines = inflateSync(Buffer.concat(data));
  const row = width * 3;
  assert.equal(lines.length, (row + 1) * height);
  let above = Buffer.alloc(row);
  return Array.from({ length: height }, (_, y) => {
    const filter = lines[y * (row + 1)]!;
    const line = Buffer.from(lines.subarray(y * (row + 1) + 1, (y + 1) * (row + 1)));
    for (let x = 0; x < row; x++) line[x] = (line[x]! + predict(filter, line[x - 3] ?? 0, above[x]!, above[x - 3] ?? 0)) & 0xff; // prettier-ignore
    above = line;
    return Array.from({ length: width }, (_, x) => line.toString("hex", x * 3, x * 3 + 3));
  });
}

function predict(filter: number, left: number, up: number, upLeft: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const estimate = left + up - upLeft;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - upLeft)];
  return a <= b && a <= c ? left : b <= c ? up : upLeft;
}
