/** Writes frames as pcapng: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html, section 4. */

const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER = 0x1a2b3c4d;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const LINKTYPE_ETHERNET = 1;
const LARGEST_FRAME = 262_144;

const COMMENT = 1;
const PACKET_FLAGS = 2;
const INTERFACE_NAME = 2;
/** The direction in a packet's flags. */
const INBOUND = 1;
const OUTBOUND = 2;
/** Of a comment, in bytes: the guest chooses the names of its processes. */
const LONGEST_COMMENT = 1024;

/** A frame, as it is written. */
export interface CapturedFrame {
  /** Milliseconds since 1970, with a fraction. */
  readonly timeMs: number;
  /** By the guest; else it receives it. */
  readonly isSent: boolean;
  readonly comment: string | undefined;
}

/** Returns the beginning of a file: little-endian, one interface of Ethernet, microseconds. */
export function createHead(interfaceName: string): Buffer {
  const section = Buffer.alloc(16);
  section.writeUInt32LE(BYTE_ORDER, 0);
  section.writeUInt16LE(1, 4);
  // The section's length is not known.
  section.fill(0xff, 8);
  const card = Buffer.alloc(8);
  card.writeUInt16LE(LINKTYPE_ETHERNET, 0);
  card.writeUInt32LE(LARGEST_FRAME, 4);
  return Buffer.concat([
    ...createBlock(SECTION_HEADER, [section]),
    ...createBlock(INTERFACE_DESCRIPTION, [card, ...createOptions([[INTERFACE_NAME, Buffer.from(interfaceName)]])]),
  ]);
}

/** Returns the pieces of a frame's block; the frame itself is not copied. */
export function createPacket(frame: Buffer, { timeMs, isSent, comment }: CapturedFrame): Buffer[] {
  const timeUs = BigInt(Math.floor(timeMs * 1000));
  const head = Buffer.alloc(20);
  head.writeUInt32LE(Number(timeUs >> 32n), 4);
  head.writeUInt32LE(Number(timeUs & 0xffff_ffffn), 8);
  head.writeUInt32LE(frame.length, 12);
  head.writeUInt32LE(frame.length, 16);
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(isSent ? OUTBOUND : INBOUND);
  const options: (readonly [number, Buffer])[] = [[PACKET_FLAGS, flags]];
  if (comment !== undefined) options.push([COMMENT, Buffer.from(comment).subarray(0, LONGEST_COMMENT)]);
  return createBlock(ENHANCED_PACKET, [head, frame, pad(frame.length), ...createOptions(options)]);
}

function createBlock(type: number, content: readonly Buffer[]): Buffer[] {
  const size = content.reduce((sum, { length }) => sum + length, 12);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(size, 4);
  return [head, ...content, head.subarray(4)];
}

function createOptions(options: readonly (readonly [code: number, value: Buffer])[]): Buffer[] {
  const pieces = options.flatMap(([code, value]) => {
    const head = Buffer.alloc(4);
    head.writeUInt16LE(code, 0);
    head.writeUInt16LE(value.length, 2);
    return [head, value, pad(value.length)];
  });
  return [...pieces, Buffer.alloc(4)];
}

function pad(size: number): Buffer {
  return Buffer.alloc((4 - (size % 4)) % 4);
}
