import { closeSync, openSync, readSync } from "node:fs";

/** Frames of one conversation. */
export interface NetworkFlow {
  readonly protocol: "tcp" | "udp" | "icmp";
  /** The sender of the first frame. */
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  frames: number;
  /** Of the frames, in bytes. */
  bytes: number;
  /** ISO 8601, UTC. */
  readonly began: string;
  ended: string;
}

/** The content of a file of frames. */
export interface NetworkSummary {
  readonly frames: number;
  /** The first ones. */
  readonly flows: readonly NetworkFlow[];
  /** The number of flows that are not listed. */
  readonly more: number;
  /** The names that were asked for (DNS), each once. */
  readonly names: readonly string[];
  /** Whether the file ends in the middle of a frame, or is damaged. */
  readonly isCut: boolean;
}

const MOST_FLOWS = 2_000;
const MOST_NAMES = 2_000;
const CHUNK = 1 << 20;
const HEAD = 24;
const RECORD_HEAD = 16;
const LARGEST_FRAME = 262_144;
// https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html, section 4; the second one has nanoseconds.
const MAGICS = new Map([
  [0xa1b2c3d4, 1e3],
  [0xa1b23c4d, 1e6],
]);
const ETHERNET = 1;
const PROTOCOLS: Readonly<Record<number, NetworkFlow["protocol"]>> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmp" };
const DNS_PORT = 53;

/**
 * Reads which conversations are in a file of frames (pcap, of Ethernet), without holding it in memory.
 *
 * @returns undefined when it is no such file
 */
export function readNetworkFlows(file: string): NetworkSummary | undefined {
  const reader = new FrameReader(file);
  try {
    return reader.read();
  } finally {
    reader.close();
  }
}

class FrameReader {
  private readonly descriptor: number;
  private readonly flows = new Map<string, NetworkFlow>();
  private readonly names = new Set<string>();
  private frames = 0;
  private more = 0;

  constructor(file: string) {
    this.descriptor = openSync(file, "r");
  }

  close(): void {
    closeSync(this.descriptor);
  }

  read(): NetworkSummary | undefined {
    const head = Buffer.alloc(HEAD);
    if (readSync(this.descriptor, head, 0, HEAD, 0) < HEAD) return undefined;
    const isLittle = MAGICS.has(head.readUInt32LE(0));
    const perMs = MAGICS.get(isLittle ? head.readUInt32LE(0) : head.readUInt32BE(0));
    const read = (bytes: Buffer, at: number) => (isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
    if (perMs === undefined || (read(head, 20) & 0xfffffff) !== ETHERNET) return undefined;
    let rest = Buffer.alloc(0);
    let isDamaged = false;
    const chunk = Buffer.alloc(CHUNK);
    for (let at = HEAD, size = 1; size > 0 && !isDamaged; at += size) {
      size = readSync(this.descriptor, chunk, 0, CHUNK, at);
      const bytes = Buffer.concat([rest, chunk.subarray(0, size)]);
      let start = 0;
      while (start + RECORD_HEAD <= bytes.length) {
        const length = read(bytes, start + 8);
        isDamaged = length > LARGEST_FRAME;
        if (isDamaged || start + RECORD_HEAD + length > bytes.length) break;
        const ms = read(bytes, start) * 1000 + read(bytes, start + 4) / perMs;
        this.add(bytes.subarray(start + RECORD_HEAD, start + RECORD_HEAD + length), ms);
        start += RECORD_HEAD + length;
      }
      rest = Buffer.from(bytes.subarray(start));
    }
    const { frames, more } = this;
    const isCut = isDamaged || rest.length > 0;
    return { frames, flows: [...this.flows.values()], more, names: [...this.names], isCut };
  }

  private add(frame: Buffer, ms: number): void {
    this.frames++;
    const packet = findPacket(frame);
    if (packet === undefined) return;
    const { protocol, source, sourcePort, destination, destinationPort, payload } = packet;
    if (protocol === "udp" && (destinationPort === DNS_PORT || sourcePort === DNS_PORT)) this.addNames(payload);
    const ends = [`${source} ${sourcePort}`, `${destination} ${destinationPort}`].sort();
    const key = `${protocol} ${ends.join(" ")}`;
    const time = new Date(ms).toISOString();
    const known = this.flows.get(key);
    if (known !== undefined) {
      known.frames++;
      known.bytes += frame.length;
      known.ended = time;
    } else if (this.flows.size >= MOST_FLOWS) this.more++;
    else {
      const flow = { protocol, source, sourcePort, destination, destinationPort };
      this.flows.set(key, { ...flow, frames: 1, bytes: frame.length, began: time, ended: time });
    }
  }

  /** RFC 1035, section 4.1: the head, then the name of the first question. */
  private addNames(message: Buffer): void {
    const labels: string[] = [];
    let at = 12;
    for (
      let size = message[at] ?? 0;
      size > 0 && size < 64 && at + 1 + size <= message.length;
      size = message[at] ?? 0
    ) {
      labels.push(message.toString("latin1", at + 1, at + 1 + size));
      at += 1 + size;
      if (labels.length > 127) return;
    }
    if (labels.length > 0 && message[at] === 0 && this.names.size < MOST_NAMES) this.names.add(labels.join("."));
  }
}

interface Packet {
  readonly protocol: NetworkFlow["protocol"];
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly payload: Buffer;
}

/** Finds what a frame carries; undefined for what is no IP packet, or cut off. Fragments but the first have no ports. */
function findPacket(frame: Buffer): Packet | undefined {
  let at = 12;
  // A tag of IEEE 802.1Q stands before the type.
  if (frame.length >= 18 && frame.readUInt16BE(at) === 0x8100) at += 4;
  if (frame.length < at + 2) return undefined;
  const type = frame.readUInt16BE(at);
  const packet = frame.subarray(at + 2);
  if (type === 0x0800 && packet.length >= 20) {
    const isFirst = (packet.readUInt16BE(6) & 0x1fff) === 0;
    const address = (start: number) => packet.subarray(start, start + 4).join(".");
    const size = Math.max(20, (packet[0]! & 0xf) * 4);
    return withPorts(packet[9]!, address(12), address(16), isFirst ? packet.subarray(size) : Buffer.alloc(0));
  }
  if (type !== 0x86dd || packet.length < 40) return undefined;
  return withPorts(packet[6]!, showAddress(packet, 8), showAddress(packet, 24), packet.subarray(40));
}

function withPorts(number: number, source: string, destination: string, segment: Buffer): Packet | undefined {
  const protocol = PROTOCOLS[number];
  if (protocol === undefined) return undefined;
  const hasPorts = protocol !== "icmp" && segment.length >= 8;
  return {
    ...{ protocol, source, destination },
    sourcePort: hasPorts ? segment.readUInt16BE(0) : 0,
    destinationPort: hasPorts ? segment.readUInt16BE(2) : 0,
    payload: segment.subarray(8),
  };
}

/** Writes an address of IPv6 as RFC 5952 wants it; URLs do. */
function showAddress(packet: Buffer, start: number): string {
  const words = Array.from({ length: 8 }, (_, index) => packet.readUInt16BE(start + index * 2).toString(16));
  return new URL(`http://[${words.join(":")}]`).hostname.slice(1, -1);
}
