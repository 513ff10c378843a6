import { KernelDataError } from "../../errors";
import { walkList } from "../../structs/kernel-list";
import type { LinuxKernel } from "../structs/linux-kernel";
import type { StructCursor } from "../../structs/struct-cursor";

const MOST_NAMESPACES = 10_000;
const WHAT = "the list of network namespaces";

/** A network of its own within the guest: interfaces, addresses, sockets. */
export interface NetworkNamespace {
  /** Its struct net. */
  readonly net: StructCursor;
  /** The number that /proc/PID/ns/net shows. */
  readonly inode: number;
  /** It is the one that the guest started with. */
  readonly isInitial: boolean;
}

/**
 * Lists the network namespaces, the guest's first one first (net_namespace_list, net/core/net_namespace.c).
 *
 * @throws KernelDataError when the list is damaged
 */
export function* listNetworkNamespaces(kernel: LinuxKernel): Iterable<NetworkNamespace> {
  const initial = kernel.findSymbol("init_net");
  const head = kernel.symbol("net_namespace_list");
  let count = 0;
  for (const address of walkList(kernel.memory, head, WHAT, kernel.offset("net", "list"))) {
    if (++count > MOST_NAMESPACES) throw new KernelDataError(WHAT, address, `more than ${MOST_NAMESPACES}`);
    const net = kernel.at("net", address);
    try {
      yield { net, inode: net.number("ns.inum"), isInitial: address === initial };
    } catch (error) {
      throw KernelDataError.from(error, WHAT, address);
    }
  }
}
