import type { LinuxKernel } from "../structs/linux-kernel";
import { readSocketEnds, readUnixPath, type SocketEnds } from "./socket-address";
import type { StructCursor } from "../../structs/struct-cursor";
import { KernelDataError } from "../../errors";
import type { OpenFile } from "../files/open-file";

const FAMILIES: Record<number, SocketFacts["family"]> = {
  1: "unix",
  2: "inet",
  10: "inet6",
  16: "netlink",
  17: "packet",
};
const TYPES: Record<number, SocketFacts["type"]> = { 1: "stream", 2: "datagram", 3: "raw", 5: "seqpacket" };
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
/** Of STATES: sockets that are no struct sock any more, or not yet. */
const TIME_WAIT = 6;
const NEW_SYN_RECV = 12;
const TCP = 6;

/** A socket of the guest. */
export interface SocketFacts extends SocketEnds {
  readonly family: "unix" | "inet" | "inet6" | "netlink" | "packet" | "other";
  readonly type: "stream" | "datagram" | "raw" | "seqpacket" | "other";
  /** IPPROTO_*: 6 is TCP, 17 is UDP; for netlink NETLINK_*, for packet sockets ETH_P_*. */
  readonly protocol: number;
  /** As TCP calls it, also for other protocols: "ESTABLISHED", "LISTEN", "CLOSE" ... */
  readonly state: string;
  /** For unix: its path; an abstract one begins with "@". */
  readonly path: string;
  /** The number in "socket:[...]"; 0 when no process has it: one that nobody has accepted yet, or that only waits. */
  readonly inode: bigint;
  /** Its network namespace: the number in "net:[...]" of /proc/PID/ns/net. */
  readonly namespace: number;
  /** The address of its struct sock, inet_timewait_sock or request_sock. */
  readonly kaddr: bigint;
}

/**
 * Reads a socket.
 *
 * @param address of its struct sock, or of another that begins with a struct sock_common
 * @throws AddressError, MissingTypeError
 */
export function readSocket(kernel: LinuxKernel, address: bigint): SocketFacts {
  const common = kernel.at("sock_common", address);
  const family = FAMILIES[common.number("skc_family")] ?? "other";
  const shared = {
    family,
    ...readSocketEnds(kernel, family, common),
    namespace: common.follow("skc_net.net")?.number("ns.inum") ?? 0,
    kaddr: address,
  };
  const state = common.number("skc_state");
  // Those of TCP that have been closed, or whose third packet has not come, are smaller structs (tcp_ipv4.c).
  const isSmall = (family === "inet" || family === "inet6") && (state === TIME_WAIT || state === NEW_SYN_RECV);
  if (isSmall) {
    // /proc/net/tcp, too, shows the state within TIME_WAIT, and calls a request SYN_RECV.
    const shown =
      state === TIME_WAIT ? STATES[kernel.at("inet_timewait_sock", address).number("tw_substate")] : "SYN_RECV";
    return { ...shared, type: "stream", protocol: TCP, state: shown ?? "", path: "", inode: 0n };
  }
  const sock = kernel.at("sock", address);
  return {
    ...shared,
    type: TYPES[sock.number("sk_type")] ?? "other",
    protocol: family === "packet" ? readPacketProtocol(kernel, address) : sock.number("sk_protocol"),
    state: STATES[state] ?? "",
    path: family === "unix" ? readUnixPath(kernel, sock) : "",
    inode: readInode(kernel, sock),
  };
}

/** A socket and its inode are one object of the kernel (struct socket_alloc). */
function readInode(kernel: LinuxKernel, sock: StructCursor): bigint {
  const socket = sock.follow("sk_socket");
  if (!socket) return 0n;
  const owner = socket.address - BigInt(kernel.offset("socket_alloc", "socket"));
  return kernel.at("socket_alloc", owner).value("vfs_inode.i_ino");
}

/** Kept in network order. */
function readPacketProtocol(kernel: LinuxKernel, address: bigint): number {
  const number = kernel.at("packet_sock", address).number("num");
  return ((number & 0xff) << 8) | (number >>> 8);
}

/** A socket that a process has open. */
export interface GuestSocket extends SocketFacts {
  readonly descriptor: number;
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
    const sock = kernel.at("file", file.kaddr);
    const socket = kernel.at("socket", sock.value("private_data")).follow("sk");
    return socket && { ...readSocket(kernel, socket.address), descriptor: file.descriptor };
  } catch (error) {
    throw KernelDataError.from(error, "a socket", file.kaddr);
  }
}
