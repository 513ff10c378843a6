import { type FileFrame, readFrames } from "./capture-file";
import { findQuestion, type NameQuestion } from "./name-questions";

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
  /** The guest's, as "wget (512)"; undefined when it was not seen. */
  process?: string;
}

/** The content of a file of frames. */
export interface NetworkSummary {
  readonly frames: number;
  /** The first ones. */
  readonly flows: readonly NetworkFlow[];
  /** The number of flows that are not listed. */
  readonly more: number;
  /** The names that were asked for (DNS), each once with each type. */
  readonly names: readonly NameQuestion[];
  /** Whether the file ends in the middle of a frame, or is damaged. */
  readonly isCut: boolean;
}

const MOST_FLOWS = 2_000;
const MOST_NAMES = 2_000;
const PROTOCOLS: Readonly<Record<number, NetworkFlow["protocol"]>> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmp" };
const DNS_PORT = 53;

/**
 * Reads which conversations are in a file of frames (pcap or pcapng, of Ethernet), without holding it in memory.
 *
 * @returns undefined when it is no such file
 */
export function readNetworkFlows(file: string): NetworkSummary | undefined {
  const summary = new Summary();
  const end = readFrames(file, (frame) => summary.add(frame));
  return end && { ...summary.result, ...end };
}

class Summary {
  private readonly flows = new Map<string, NetworkFlow>();
  private readonly names = new Map<string, NameQuestion>();
  private frames = 0;
  private more = 0;

  get result(): Omit<NetworkSummary, "isCut"> {
    const { frames, more } = this;
    return { frames, flows: [...this.flows.values()], more, names: [...this.names.values()] };
  }

  add({ bytes: frame, timeMs, comment }: FileFrame): void {
    this.frames++;
    const packet = findPacket(frame);
    if (packet === undefined) return;
    const { protocol, source, sourcePort, destination, destinationPort, payload } = packet;
    const time = new Date(timeMs).toISOString();
    const process = /^process (.+)$/s.exec(comment ?? "")?.[1];
    if (protocol === "udp" && destinationPort === DNS_PORT) this.addName(payload, time, process);
    const ends = [`${source} ${sourcePort}`, `${destination} ${destinationPort}`].sort();
    const key = `${protocol} ${ends.join(" ")}`;
    const known = this.flows.get(key);
    if (known !== undefined) {
      known.frames++;
      known.bytes += frame.length;
      known.ended = time;
      if (known.process === undefined && process !== undefined) known.process = process;
    } else if (this.flows.size >= MOST_FLOWS) this.more++;
    else {
      const flow = { protocol, source, sourcePort, destination, destinationPort };
      const by = process === undefined ? {} : { process };
      this.flows.set(key, { ...flow, frames: 1, bytes: frame.length, began: time, ended: time, ...by });
    }
  }

  private addName(message: Buffer, began: string, process: string | undefined): void {
    const question = findQuestion(message);
    if (question === undefined) return;
    const key = `${question.name.toLowerCase()} ${question.type}`;
    const known = this.names.get(key);
    if (known !== undefined) {
      known.count++;
      known.process ??= process;
    } else if (this.names.size < MOST_NAMES) this.names.set(key, { ...question, process, began, count: 1 });
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
