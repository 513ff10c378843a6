/** The time of the first frame, in seconds since 1970. */
export const FIRST_SECOND = 1_767_323_045;
const LARGEST_FRAME = 262_144;
/** The addresses at the beginning of each frame, in hexadecimal. */
export const ETHERNET = "020000000001 020000000002";

/** Makes bytes of hexadecimal digits. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s/g, ""), "hex");
}

/** Makes a file as draft-ietf-opsawg-pcap-04 describes it, with a frame each second. @param link 1 for Ethernet */
export function makePcap(frames: readonly Buffer[], link = 1): Buffer {
  const words = (...values: readonly number[]) => {
    const bytes = Buffer.alloc(values.length * 4);
    values.forEach((value, index) => bytes.writeUInt32LE(value, index * 4));
    return bytes;
  };
  const records = frames.map((frame, index) =>
    Buffer.concat([words(FIRST_SECOND + index, 250_000, frame.length, frame.length), frame]),
  );
  return Buffer.concat([words(0xa1b2c3d4, 0x00040002, 0, 0, LARGEST_FRAME, link), ...records]);
}

/** Makes a frame of IPv4 (RFC 791) with UDP (RFC 768). */
export function makeUdp(
  source: string,
  sourcePort: number,
  destination: string,
  port: number,
  payload: Buffer,
): Buffer {
  const bytes = (address: string) => Buffer.from(address.split(".").map(Number));
  const header = Buffer.concat([hex("45000000 00000000 40110000"), bytes(source), bytes(destination)]);
  const ports = Buffer.alloc(8);
  ports.writeUInt16BE(sourcePort, 0);
  ports.writeUInt16BE(port, 2);
  return Buffer.concat([hex(`${ETHERNET} 0800`), header, ports, payload]);
}

/** Makes a question for a name (RFC 1035). */
export function makeQuestion(...labels: readonly string[]): Buffer {
  return Buffer.concat([
    hex("0001 0100 0001 0000 0000 0000"),
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")])),
    hex("00 0001 0001"),
  ]);
}
