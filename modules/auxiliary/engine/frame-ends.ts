/** Between whom a frame goes. */
export interface FrameEnds {
  /** As inet_ntop writes addresses: "10.0.2.15", "fe80::1". */
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

// Ethernet's types and IP's protocols, as IANA has assigned them.
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const VLAN = 0x8100;
const TCP = 6;
const UDP = 17;

/** Finds the ends of a frame of Ethernet that carries TCP or UDP; undefined for all others, and for what is cut off. */
export function findEnds(frame: Buffer): FrameEnds | undefined {
  let at = 12;
  if (frame.length < at + 2) return undefined;
  if (frame.readUInt16BE(at) === VLAN) at += 4;
  if (frame.length < at + 2) return undefined;
  const type = frame.readUInt16BE(at);
  const packet = frame.subarray(at + 2);
  if (type === IPV4) return findEnds4(packet);
  return type === IPV6 ? findEnds6(packet) : undefined;
}

/** RFC 791, section 3.1. */
function findEnds4(packet: Buffer): FrameEnds | undefined {
  if (packet.length < 20) return undefined;
  const headerBytes = (packet[0]! & 0xf) * 4;
  // Only the first fragment has ports.
  const isFirst = (packet.readUInt16BE(6) & 0x1fff) === 0;
  if (!isFirst || headerBytes < 20) return undefined;
  const address = (start: number) => packet.subarray(start, start + 4).join(".");
  return withPorts(packet[9]!, packet.subarray(headerBytes), address(12), address(16));
}

/** RFC 8200, section 3; packets with extension headers are not looked into. */
function findEnds6(packet: Buffer): FrameEnds | undefined {
  if (packet.length < 40) return undefined;
  return withPorts(packet[6]!, packet.subarray(40), shorten(packet.subarray(8, 24)), shorten(packet.subarray(24, 40)));
}

function withPorts(protocol: number, segment: Buffer, source: string, destination: string): FrameEnds | undefined {
  if ((protocol !== TCP && protocol !== UDP) || segment.length < 4) return undefined;
  return { source, sourcePort: segment.readUInt16BE(0), destination, destinationPort: segment.readUInt16BE(2) };
}

/** Writes an address of IPv6 as RFC 5952 wants it; URLs do. */
function shorten(bytes: Buffer): string {
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${words.join(":")}]`).hostname.slice(1, -1);
}
