import type { LinuxKernel } from "../structs/linux-kernel";
import type { StructCursor } from "../../structs/struct-cursor";

/** sizeof(sun_path) */
const LONGEST_UNIX_PATH = 108;
const FAMILY_SIZE = 2;

/** Both ends of a socket; empty and 0 for what its family does not have. */
export interface SocketEnds {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

const NO_ENDS: SocketEnds = { localAddress: "", localPort: 0, remoteAddress: "", remotePort: 0 };

/**
 * Reads the ends of a socket out of its struct sock_common, which those that wait or are being opened have, too.
 *
 * @throws AddressError
 */
export function readSocketEnds(kernel: LinuxKernel, family: string, common: StructCursor): SocketEnds {
  if (family === "netlink") {
    const port = kernel.at("netlink_sock", common.address);
    return { ...NO_ENDS, localPort: port.number("portid"), remotePort: port.number("dst_portid") };
  }
  if (family !== "inet" && family !== "inet6") return NO_ENDS;
  const read = (address: bigint): string =>
    family === "inet" ? formatInet(kernel.memory.read(address, 4)) : formatInet6(kernel.memory.read(address, 16));
  const [local, remote] = family === "inet" ? ["skc_rcv_saddr", "skc_daddr"] : ["skc_v6_rcv_saddr", "skc_v6_daddr"];
  const port = common.number("skc_dport");
  return {
    localAddress: read(common.addressOf(local as string)),
    localPort: common.number("skc_num"),
    remoteAddress: read(common.addressOf(remote as string)),
    // Kept in network order.
    remotePort: ((port & 0xff) << 8) | (port >>> 8),
  };
}

/** Writes the 4 bytes of an IPv4 address as people do. */
export function formatInet(bytes: Uint8Array): string {
  return bytes.join(".");
}

/** Writes the 16 bytes of an IPv6 address as RFC 5952 says: lower case, no leading zeros, the longest run of zeros as "::". */
export function formatInet6(bytes: Buffer): string {
  if (bytes.subarray(0, 12).equals(Buffer.from("00000000000000000000ffff", "hex"))) {
    return `::ffff:${[...bytes.subarray(12)].join(".")}`;
  }
  const text = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(":");
  const runs = [...text.matchAll(/\b0(?::0)+\b/g)].toSorted((a, b) => b[0].length - a[0].length);
  const longest = runs[0];
  if (!longest) return text;
  const before = text.slice(0, longest.index).replace(/:$/, "");
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, "");
  return `${before}::${after}`;
}

/** Reads what a unix socket is bound to: a path, "@" and an abstract name, or nothing. */
export function readUnixPath(kernel: LinuxKernel, sock: StructCursor): string {
  const bound = kernel.at("unix_sock", sock.address).follow("addr");
  if (!bound) return "";
  const length = Math.min(bound.number("len") - FAMILY_SIZE, LONGEST_UNIX_PATH);
  if (length <= 0) return "";
  const path = kernel.memory.read(bound.addressOf("name") + BigInt(FAMILY_SIZE), length);
  if (path[0] === 0) return `@${path.toString("utf8", 1)}`;
  const end = path.indexOf(0);
  return path.toString("utf8", 0, end < 0 ? length : end);
}
