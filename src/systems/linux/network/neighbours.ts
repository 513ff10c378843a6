import { KernelDataError } from "../../errors";
import { walkHashChain } from "../../structs/kernel-list";
import type { LinuxKernel } from "../structs/linux-kernel";
import { formatInet, formatInet6 } from "./socket-address";
import type { StructCursor } from "../../structs/struct-cursor";

const WHAT = "a table of neighbours";
/** NEIGH_ARP_TABLE and NEIGH_ND_TABLE, include/net/neighbour.h */
const TABLES = [
  { symbol: "arp_tbl", index: 0, family: "inet", keySize: 4 },
  { symbol: "nd_tbl", index: 1, family: "inet6", keySize: 16 },
] as const;
/** The kernel doubles a table while it has more entries than chains; gc_thresh3 is rarely more than thousands. */
const LARGEST_SHIFT = 20;
const MOST_NEIGHBOURS = 1 << 20;
/** MAX_ADDR_LEN, include/linux/netdevice.h */
const LONGEST_ADDRESS = 32;
/** IFNAMSIZ */
const NAME_SIZE = 16;
/** NUD_*, include/uapi/linux/neighbour.h, by the bit that stands for it. */
const STATES = ["INCOMPLETE", "REACHABLE", "STALE", "DELAY", "PROBE", "FAILED", "NOARP", "PERMANENT"] as const;
/** Those in which the link-layer address means something (NUD_VALID). */
const HAS_ADDRESS: ReadonlySet<string> = new Set(["REACHABLE", "STALE", "DELAY", "PROBE", "NOARP", "PERMANENT"]);

/** A machine that the guest's network has spoken with, or has looked for, on a link of its own. */
export interface NetworkNeighbour {
  readonly family: "inet" | "inet6";
  /** Its IP address. */
  readonly address: string;
  /** Its link-layer address, as "52:54:00:12:34:56"; empty while it is not known. */
  readonly mac: string;
  /** As `ip neigh` calls it: "REACHABLE", "STALE", "FAILED" ...; "NONE" before anything was tried. */
  readonly state: (typeof STATES)[number] | "NONE";
  /** The name of the interface behind which it is. */
  readonly device: string;
  /** The network namespace: the number in "net:[...]" of /proc/PID/ns/net. */
  readonly namespace: number;
  /** The address of its struct neighbour. */
  readonly kaddr: bigint;
}

/**
 * Lists the neighbours of all interfaces, in all network namespaces, out of the kernel's tables for ARP (arp_tbl) and for
 * IPv6 (nd_tbl): what `ip neigh show nud all` prints.
 *
 * @throws KernelDataError when a table is damaged
 */
export function listNeighbours(kernel: LinuxKernel): NetworkNeighbour[] {
  const found: NetworkNeighbour[] = [];
  for (const { symbol, index, family, keySize } of TABLES) {
    const table = findTable(kernel, symbol, index);
    if (!table) continue;
    const size = table.number("key_len");
    if (size !== keySize) throw new KernelDataError(WHAT, table.address, `its keys have ${size} bytes`);
    for (const address of walkTable(kernel, table)) {
      if (found.length >= MOST_NEIGHBOURS) {
        throw new KernelDataError(WHAT, table.address, `more than ${MOST_NEIGHBOURS} neighbours`);
      }
      found.push(readNeighbour(kernel, address, family));
    }
  }
  return found;
}

/** By its own symbol, or as the list of tables has it when IPv6 is a module (neigh_tables, net/core/neighbour.c). */
function findTable(kernel: LinuxKernel, symbol: string, index: number): StructCursor | undefined {
  let address = kernel.findSymbol(symbol);
  if (address === undefined) {
    const list = kernel.findSymbol("neigh_tables");
    if (list === undefined) return undefined;
    address = readPointer(kernel, list + BigInt(index * kernel.memory.pointerSize));
  }
  return address === 0n ? undefined : kernel.at("neigh_table", address);
}

function* walkTable(kernel: LinuxKernel, table: StructCursor): Iterable<bigint> {
  const chains = read(table, () => table.follow("nht"));
  // A table that nobody has initialised.
  if (!chains) return;
  const shift = read(chains, () => chains.number("hash_shift"));
  if (!(shift >= 0 && shift <= LARGEST_SHIFT)) {
    throw new KernelDataError(WHAT, chains.address, `it says that it has 2 to the ${shift} chains`);
  }
  // Since 6.13 a chain is a struct hlist_head.
  const heads = read(chains, () => chains.value("hash_heads", "hash_buckets"));
  const link = kernel.offset("neighbour", "hash", "next");
  const { pointerSize } = kernel.memory;
  const bytes = read(chains, () => kernel.memory.read(heads, 2 ** shift * pointerSize));
  for (let at = 0; at < bytes.length; at += pointerSize) {
    const head = pointerSize === 8 ? bytes.readBigUInt64LE(at) : BigInt(bytes.readUInt32LE(at));
    if (head !== 0n) yield* walkHashChain(kernel.memory, head, WHAT, link);
  }
}

function readNeighbour(kernel: LinuxKernel, address: bigint, family: NetworkNeighbour["family"]): NetworkNeighbour {
  const neighbour = kernel.at("neighbour", address);
  return read(neighbour, () => {
    const device = neighbour.follow("dev");
    if (!device) throw new KernelDataError("a neighbour", address, "it has no interface");
    const bits = neighbour.number("nud_state");
    const state = STATES.find((_, bit) => (bits & (1 << bit)) !== 0) ?? "NONE";
    const size = Math.min(device.number("addr_len"), LONGEST_ADDRESS);
    const mac = HAS_ADDRESS.has(state) ? kernel.memory.read(neighbour.addressOf("ha"), size) : Buffer.alloc(0);
    const key = neighbour.addressOf("primary_key");
    return {
      family,
      address: family === "inet" ? formatInet(kernel.memory.read(key, 4)) : formatInet6(kernel.memory.read(key, 16)),
      mac: Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":"),
      state,
      device: device.text(NAME_SIZE, "name"),
      namespace: device.follow("nd_net.net")?.number("ns.inum") ?? 0,
      kaddr: address,
    };
  });
}

function readPointer(kernel: LinuxKernel, address: bigint): bigint {
  try {
    return kernel.memory.pointer(address);
  } catch (error) {
    throw KernelDataError.from(error, WHAT, address);
  }
}

function read<Result>(at: StructCursor, act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    throw KernelDataError.from(error, at.type.name === "neighbour" ? "a neighbour" : WHAT, at.address);
  }
}
