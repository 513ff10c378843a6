import { KernelDataError } from "../../errors";
import { walkHashChain } from "../../structs/kernel-list";
import type { LinuxKernel } from "../structs/linux-kernel";
import { listNetworkNamespaces } from "./network-namespaces";
import { readSocket, type SocketFacts } from "./socket";
import type { StructCursor } from "../../structs/struct-cursor";

const WHAT = "a table of sockets";
/** The kernel's own largest tables have half a million chains (tcp_init). */
const MOST_CHAINS = 1 << 20;
const MOST_SOCKETS = 1 << 20;
/** net/unix: 2 * UNIX_HASH_SIZE until 5.19, UNIX_HASH_SIZE since. */
const UNIX_CHAINS = 512;
/** MAX_LINKS, include/uapi/linux/netlink.h */
const NETLINK_PROTOCOLS = 32;

/**
 * Lists all sockets of the guest, in all its network namespaces, also those that no process has: connections that nobody
 * has accepted yet, that are only being opened, or that wait for late packets.
 *
 * @throws KernelDataError when a table is damaged
 */
export function listSockets(kernel: LinuxKernel): SocketFacts[] {
  const found = new Map<bigint, SocketFacts>();
  const tables = new SocketTables(kernel);
  for (const address of tables.list()) {
    if (found.has(address)) continue;
    if (found.size >= MOST_SOCKETS) throw new KernelDataError(WHAT, address, `more than ${MOST_SOCKETS} sockets`);
    try {
      found.set(address, readSocket(kernel, address));
    } catch (error) {
      throw KernelDataError.from(error, "a socket", address);
    }
  }
  return [...found.values()];
}

/** The tables in which the kernel's protocols keep their sockets. */
class SocketTables {
  readonly #kernel: LinuxKernel;
  /** The offset of a socket's link in the chain of a table. */
  readonly #link: number;
  readonly #seen = new Set<bigint>();

  constructor(kernel: LinuxKernel) {
    this.#kernel = kernel;
    this.#link = kernel.offset("sock_common", "skc_node");
  }

  /** Lists the addresses of sockets; those of a table that namespaces share come once. */
  *list(): Iterable<bigint> {
    const kernel = this.#kernel;
    for (const { net } of listNetworkNamespaces(kernel)) {
      yield* this.#tcp(net.follow("ipv4.tcp_death_row.hashinfo"));
      yield* this.#udp(net.has("ipv4.udp_table") ? net.value("ipv4.udp_table") : 0n);
      if (net.has("unx.table.buckets")) yield* this.#chains(net.value("unx.table.buckets"), UNIX_CHAINS);
      if (net.has("packet.sklist")) yield* this.#chains(net.addressOf("packet.sklist"), 1);
    }
    for (const name of ["udp_table", "udplite_table"]) yield* this.#udp(kernel.findSymbol(name) ?? 0n);
    for (const name of ["raw_v4_hashinfo", "raw_v6_hashinfo"]) yield* this.#raw(kernel.findSymbol(name));
    const unix = kernel.findSymbol("unix_socket_table");
    if (unix !== undefined) yield* this.#chains(unix, UNIX_CHAINS);
    yield* this.#netlink();
  }

  /** struct inet_hashinfo: connections, and those who listen. */
  *#tcp(table: StructCursor | undefined): Iterable<bigint> {
    if (!table || this.#isKnown(table.address)) return;
    yield* this.#chains(table.value("ehash"), table.number("ehash_mask") + 1);
    const size = this.#kernel.sizeOf("inet_listen_hashbucket");
    const head = this.#kernel.offset("inet_listen_hashbucket", "nulls_head");
    // Until 5.18 all who listen are in a table by port; then only in the one by address and port.
    const byPort = this.#kernel.findMember("inet_hashinfo", "listening_hash");
    if (byPort?.type.kind === "array") {
      yield* this.#chains(table.addressOf("listening_hash") + BigInt(head), byPort.type.count, size);
    } else {
      yield* this.#chains(table.value("lhash2") + BigInt(head), table.number("lhash2_mask") + 1, size);
    }
  }

  *#udp(address: bigint): Iterable<bigint> {
    if (address === 0n || this.#isKnown(address)) return;
    const table = this.#kernel.at("udp_table", address);
    const size = this.#kernel.sizeOf("udp_hslot");
    const head = this.#kernel.offset("udp_hslot", "head");
    yield* this.#chains(table.value("hash") + BigInt(head), table.number("mask") + 1, size);
  }

  *#raw(address: bigint | undefined): Iterable<bigint> {
    const chains = this.#kernel.findMember("raw_hashinfo", "ht");
    if (address === undefined || chains?.type.kind !== "array") return;
    yield* this.#chains(address + BigInt(chains.offset), chains.type.count);
  }

  /** A resizable hash table for each protocol (lib/rhashtable.c), which may just be moving to a larger one. */
  *#netlink(): Iterable<bigint> {
    const kernel = this.#kernel;
    const tables = kernel.findSymbol("nl_table");
    if (tables === undefined) return;
    const link = kernel.offset("netlink_sock", "node");
    const first = kernel.memory.pointer(tables);
    const size = kernel.sizeOf("netlink_table");
    for (let protocol = 0; protocol < NETLINK_PROTOCOLS && first !== 0n; protocol++) {
      const table = kernel.at("netlink_table", first + BigInt(protocol * size));
      let buckets = table.follow("hash.tbl");
      for (let turn = 0; buckets && turn < 2; turn++) {
        if (buckets.number("nest") !== 0) throw new KernelDataError(WHAT, buckets.address, "its chains are nested");
        for (const head of this.#heads(
          buckets.addressOf("buckets"),
          buckets.number("size"),
          kernel.memory.pointerSize,
        )) {
          // The lowest bit is the chain's lock.
          yield* walkHashChain(kernel.memory, head & ~1n, WHAT, link);
        }
        buckets = buckets.follow("future_tbl");
      }
    }
  }

  /**
   * Walks chains that lie side by side.
   *
   * @param first the address of the first chain's head, a pointer
   * @param size from one head to the next, in bytes
   */
  *#chains(first: bigint, count: number, size: number = this.#kernel.memory.pointerSize): Iterable<bigint> {
    for (const head of this.#heads(first, count, size)) {
      yield* walkHashChain(this.#kernel.memory, head, WHAT, this.#link);
    }
  }

  *#heads(first: bigint, count: number, size: number): Iterable<bigint> {
    if (!(count > 0 && count <= MOST_CHAINS)) {
      throw new KernelDataError(WHAT, first, `it says that it has ${count} chains`);
    }
    const { pointerSize } = this.#kernel.memory;
    const heads = this.#read(first, (count - 1) * size + pointerSize);
    for (let at = 0; at < heads.length; at += size) {
      const head = pointerSize === 8 ? heads.readBigUInt64LE(at) : BigInt(heads.readUInt32LE(at));
      if (head > 1n) yield head;
    }
  }

  #read(address: bigint, size: number): Buffer {
    try {
      return this.#kernel.memory.read(address, size);
    } catch (error) {
      throw KernelDataError.from(error, WHAT, address);
    }
  }

  #isKnown(table: bigint): boolean {
    if (this.#seen.has(table)) return true;
    this.#seen.add(table);
    return false;
  }
}
