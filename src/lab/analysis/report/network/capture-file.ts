import { closeSync, openSync, readSync } from "node:fs";

/** A frame of a file. */
export interface FileFrame {
  readonly bytes: Buffer;
  /** Milliseconds since 1970, with a fraction. */
  readonly timeMs: number;
  /** The comment that stands with it; pcapng alone has some. */
  readonly comment: string | undefined;
}

const CHUNK = 1 << 20;
const LARGEST_FRAME = 262_144;
/** A frame with its options. */
const LARGEST_BLOCK = LARGEST_FRAME + (1 << 16);
const ETHERNET = 1;

/** Says how long a piece at the beginning of bytes is, and takes what is in it. */
interface Format {
  /** Returns the size of the next piece; undefined when more bytes are needed, 0 when they are damaged. */
  measure(bytes: Buffer): number | undefined;
  take(piece: Buffer): FileFrame | undefined;
  /** The size of the file's own head. */
  readonly head: number;
}

/**
 * Reads the frames of a file (pcap or pcapng, of Ethernet), without holding it in memory.
 *
 * @returns whether it ends in the middle of a frame, or is damaged; undefined when it is no such file
 */
export function readFrames(file: string, onFrame: (frame: FileFrame) => void): { isCut: boolean } | undefined {
  const descriptor = openSync(file, "r");
  try {
    const start = Buffer.alloc(PCAP_HEAD);
    const size = readSync(descriptor, start, 0, PCAP_HEAD, 0);
    const format = findPcap(start.subarray(0, size)) ?? findPcapng(start.subarray(0, size));
    return format && readPieces(descriptor, format, onFrame);
  } finally {
    closeSync(descriptor);
  }
}

function readPieces(descriptor: number, format: Format, onFrame: (frame: FileFrame) => void): { isCut: boolean } {
  let rest = Buffer.alloc(0);
  const chunk = Buffer.alloc(CHUNK);
  for (let at = format.head, size = 1; size > 0; at += size) {
    size = readSync(descriptor, chunk, 0, CHUNK, at);
    const bytes = Buffer.concat([rest, chunk.subarray(0, size)]);
    let start = 0;
    for (;;) {
      const length = format.measure(bytes.subarray(start));
      if (length === 0) return { isCut: true };
      if (length === undefined || start + length > bytes.length) break;
      const frame = format.take(bytes.subarray(start, start + length));
      if (frame !== undefined) onFrame(frame);
      start += length;
    }
    rest = Buffer.from(bytes.subarray(start));
  }
  return { isCut: rest.length > 0 };
}

const PCAP_HEAD = 24;
const RECORD_HEAD = 16;
// https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html, section 4; the second one has nanoseconds.
const MAGICS = new Map([
  [0xa1b2c3d4, 1e3],
  [0xa1b23c4d, 1e6],
]);

function findPcap(head: Buffer): Format | undefined {
  if (head.length < PCAP_HEAD) return undefined;
  const isLittle = MAGICS.has(head.readUInt32LE(0));
  const read = getReader(isLittle);
  const perMs = MAGICS.get(read(head, 0));
  if (perMs === undefined || (read(head, 20) & 0xfffffff) !== ETHERNET) return undefined;
  return {
    head: PCAP_HEAD,
    measure(bytes) {
      if (bytes.length < RECORD_HEAD) return undefined;
      const length = read(bytes, 8);
      return length > LARGEST_FRAME ? 0 : RECORD_HEAD + length;
    },
    take: (piece) => ({
      bytes: piece.subarray(RECORD_HEAD),
      timeMs: read(piece, 0) * 1000 + read(piece, 4) / perMs,
      comment: undefined,
    }),
  };
}

// https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html, section 4.
const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER = 0x1a2b3c4d;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const BLOCK_HEAD = 8;
const SMALLEST_BLOCK = 12;
const PACKET_HEAD = 28;
const COMMENT = 1;
const END = 0;

function findPcapng(head: Buffer): Format | undefined {
  if (head.length < SMALLEST_BLOCK || head.readUInt32LE(0) !== SECTION_HEADER) return undefined;
  const isLittle = head.readUInt32LE(8) === BYTE_ORDER;
  const read = getReader(isLittle);
  if (read(head, 8) !== BYTE_ORDER) return undefined;
  const read16 = (bytes: Buffer, at: number) => (isLittle ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
  let isEthernet = false;
  return {
    head: 0,
    measure(bytes) {
      if (bytes.length < BLOCK_HEAD) return undefined;
      const length = read(bytes, 4);
      return length < SMALLEST_BLOCK || length % 4 !== 0 || length > LARGEST_BLOCK ? 0 : length;
    },
    take(piece) {
      const type = read(piece, 0);
      if (type === INTERFACE_DESCRIPTION && piece.length >= 20) isEthernet = read16(piece, 8) === ETHERNET;
      if (type !== ENHANCED_PACKET || !isEthernet || piece.length < PACKET_HEAD + 4) return undefined;
      const length = read(piece, 20);
      const end = PACKET_HEAD + length;
      if (end > piece.length - 4) return undefined;
      // Microseconds, where the interface does not say otherwise.
      const timeMs = (read(piece, 12) * 2 ** 32 + read(piece, 16)) / 1000;
      const options = piece.subarray(end + ((4 - (length % 4)) % 4), piece.length - 4);
      return { bytes: piece.subarray(PACKET_HEAD, end), timeMs, comment: findComment(options, read16) };
    },
  };
}

function findComment(options: Buffer, read16: (bytes: Buffer, at: number) => number): string | undefined {
  for (let at = 0; at + 4 <= options.length;) {
    const code = read16(options, at);
    const length = read16(options, at + 2);
    if (code === END || at + 4 + length > options.length) return undefined;
    if (code === COMMENT) return options.toString("utf8", at + 4, at + 4 + length);
    at += 4 + length + ((4 - (length % 4)) % 4);
  }
  return undefined;
}

function getReader(isLittle: boolean): (bytes: Buffer, at: number) => number {
  return isLittle ? (bytes, at) => bytes.readUInt32LE(at) : (bytes, at) => bytes.readUInt32BE(at);
}
