import { deflateSync } from "node:zlib";

/** A picture of a screen: three bytes for each pixel, red, green and blue. */
export interface ScreenPicture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Buffer;
}

const PIXEL = 3;
const LARGEST_SIDE = 16_384;

/**
 * Reads a picture in the format PPM, as QEMU's screendump writes it: "P6", width, height and 255, then the pixels (netpbm's ppm(5)).
 *
 * @throws Error when it is none, or is cut off
 */
export function readPpm(file: Buffer): ScreenPicture {
  const [head, width = 0, height = 0] = (/^P6\s(\d+)\s(\d+)\s255\s/.exec(file.toString("latin1", 0, 64)) ?? []).map(
    (text, index) => (index === 0 ? text : Number(text)),
  ) as [string?, number?, number?];
  if (head === undefined || width > LARGEST_SIDE || height > LARGEST_SIDE)
    throw new Error("QEMU has written no PPM file");
  const pixels = file.subarray(head.length);
  if (pixels.length < width * height * PIXEL) throw new Error("the picture is cut off");
  return { width, height, pixels: pixels.subarray(0, width * height * PIXEL) };
}

/** Counts the pixels that differ, up to a number beyond which it does not matter; all of them when the sizes differ. */
export function countDifferent(one: ScreenPicture, other: ScreenPicture, most: number): number {
  if (one.width !== other.width || one.height !== other.height) return one.width * one.height;
  const row = one.width * PIXEL;
  let count = 0;
  for (let start = 0; start < one.pixels.length && count <= most; start += row) {
    if (one.pixels.compare(other.pixels, start, start + row, start, start + row) === 0) continue;
    for (let at = start; at < start + row; at += PIXEL) {
      if (
        one.pixels[at] !== other.pixels[at] ||
        one.pixels[at + 1] !== other.pixels[at + 1] ||
        one.pixels[at + 2] !== other.pixels[at + 2]
      )
        count++;
    }
  }
  return count;
}

/** Writes a picture in the format PNG (W3C's Portable Network Graphics, third edition): eight bits a colour, no filter. */
export function writePng({ width, height, pixels }: ScreenPicture): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Eight bits, true colour; the only compression, the only filter method, no interlace.
  header.set([8, 2, 0, 0, 0], 8);
  const row = width * PIXEL;
  const lines = Buffer.alloc((row + 1) * height);
  for (let y = 0; y < height; y++) pixels.copy(lines, y * (row + 1) + 1, y * row, (y + 1) * row);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(lines)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

/** For each byte what it makes of the remainder (annex D of the same). */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes: Buffer): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
