import { KernelDataError } from "./kernel-data-error";
import type { LinuxKernel } from "./linux-kernel";
import type { OpenFile } from "./open-file";
import type { StructCursor } from "./struct-cursor";

const FAMILIES: Record<number, GuestSocket["family"]> = {
  1: "unix",
  2: "inet",
  10: "inet6",
  16: "netlink",
  17: "packet",
};
const TYPES: Record<number, GuestSocket["type"]> = { 1: "stream", 2: "datagram", 3: "raw", 5: "seqpacket" };
/** include/net/tcp_states.h */
const STATES = [
  "",
  "ESTABLISHED",
  "SYN_SENT",
  "SYN_RECV",
  "FIN_WAIT1",
  "FIN_WAIT2",
  "TIME_WAIT",
  "CLOSE",
  "CLOSE_WAIT",
  "LAST_ACK",
  "LISTEN",
  "CLOSING",
  "NEW_SYN_RECV",
];
/** sizeof(sun_path) */
const LONGEST_UNIX_PATH = 108;
const FAMILY_SIZE = 2;

/** A socket that a process has open. */
export interface GuestSocket {
  readonly family: "unix" | "inet" | "inet6" | "netlink" | "packet" | "other";
  readonly type: "stream" | "datagram" | "raw" | "seqpacket" | "other";
  /** IPPROTO_*: 6 is TCP, 17 is UDP. */
  readonly protocol: number;
  /** As TCP calls it, also for other protocols: "ESTABLISHED", "LISTEN", "CLOSE" ... */
  readonly state: string;
  /** For inet and inet6. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** For unix: its path; an abstract one begins with "@". */
  readonly path: string;
  /** The number in "socket:[...]". */
  readonly inode: bigint;
  readonly descriptor: number;
  /** The address of its struct sock. */
  readonly kaddr: bigint;
}

/**
 * Reads the socket behind an open file.
 *
 * @returns undefined when the file is no socket
 * @throws KernelDataError when it is damaged
 */
export function findSocket(kernel: LinuxKernel, file: OpenFile): GuestSocket | undefined {
  if (file.type !== "socket") return undefined;
  try {
    const opened = kernel.at("file", file.kaddr);
    const socket = kernel.at("socket", opened.value("private_data"));
    const sock = socket.follow("sk");
    if (!sock) return undefined;
    const common = sock.member("__sk_common");
    const family = FAMILIES[common.number("skc_family")] ?? "other";
    return {
      family,
      type: TYPES[socket.number("type")] ?? "other",
      protocol: sock.number("sk_protocol"),
      state: STATES[common.number("skc_state")] ?? "",
      ...readAddresses(kernel, family, common),
      path: family === "unix" ? readUnixPath(kernel, sock) : "",
      inode: opened.follow("f_inode")?.value("i_ino") ?? 0n,
      descriptor: file.descriptor,
      kaddr: sock.address,
    };
  } catch (error) {
    throw KernelDataError.from(error, "a socket", file.kaddr);
  }
}

type Addresses = Pick<GuestSocket, "localAddress" | "localPort" | "remoteAddress" | "remotePort">;

function readAddresses(kernel: LinuxKernel, family: string, common: StructCursor): Addresses {
  if (family !== "inet" && family !== "inet6") {
    return { localAddress: "", localPort: 0, remoteAddress: "", remotePort: 0 };
  }
  const read = family === "inet" ? readInet : readInet6;
  const [local, remote] = family === "inet" ? ["skc_rcv_saddr", "skc_daddr"] : ["skc_v6_rcv_saddr", "skc_v6_daddr"];
  const port = common.number("skc_dport");
  return {
    localAddress: read(kernel, common.addressOf(local as string)),
    localPort: common.number("skc_num"),
    remoteAddress: read(kernel, common.addressOf(remote as string)),
    // Kept in network order.
    remotePort: ((port & 0xff) << 8) | (port >>> 8),
  };
}

function readInet(kernel: LinuxKernel, address: bigint): string {
  return [...kernel.memory.read(address, 4)].join(".");
}

/** RFC 5952: lower case, no leading zeros, the longest run of zeros as "::". */
function readInet6(kernel: LinuxKernel, address: bigint): string {
  const bytes = kernel.memory.read(address, 16);
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

function readUnixPath(kernel: LinuxKernel, sock: StructCursor): string {
  const bound = kernel.at("unix_sock", sock.address).follow("addr");
  if (!bound) return "";
  const length = Math.min(bound.number("len") - FAMILY_SIZE, LONGEST_UNIX_PATH);
  if (length <= 0) return "";
  const path = kernel.memory.read(bound.addressOf("name") + BigInt(FAMILY_SIZE), length);
  if (path[0] === 0) return `@${path.toString("utf8", 1)}`;
  const end = path.indexOf(0);
  return path.toString("utf8", 0, end < 0 ? length : end);
}
