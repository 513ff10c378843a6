import { formatInet, formatInet6 } from "./socket-address";
import { KernelDataError } from "../../errors";
import { walkList } from "../../structs/kernel-list";
import type { LinuxKernel } from "../structs/linux-kernel";
import { listNetworkNamespaces } from "./network-namespaces";
import type { StructCursor } from "../../structs/struct-cursor";

const WHAT = "a network interface";
const MOST_INTERFACES = 65_536;
/** Of all interfaces together. */
const MOST_ADDRESSES = 65_536;
/** IFNAMSIZ */
const LONGEST_NAME = 16;
/** MAX_ADDR_LEN */
const LONGEST_HARDWARE_ADDRESS = 32;
/** IFF_UP, include/uapi/linux/if.h */
const IS_UP = 1;

/** An address of a network interface. */
export interface NetworkAddress {
  readonly family: "inet" | "inet6";
  readonly address: string;
  /** The number of its bits that are the network's. */
  readonly prefixLength: number;
}

/** A network interface of the guest. */
export interface NetworkInterface {
  readonly name: string;
  readonly index: number;
  readonly isUp: boolean;
  /** Of a whole frame's contents, in bytes. */
  readonly mtu: number;
  /** "52:54:00:12:34:56"; empty for an interface without one. */
  readonly hardwareAddress: string;
  /** IPv4 first, in the kernel's order. */
  readonly addresses: readonly NetworkAddress[];
  /** The number that /proc/PID/ns/net shows. */
  readonly namespace: number;
  /** It belongs to the network that the guest started with. */
  readonly isInInitialNamespace: boolean;
}

/** The number of entries that may still be read. */
interface Budget {
  addresses: number;
}

/**
 * Lists the network interfaces with their addresses, in all network namespaces, the guest's first one first
 * (struct net.dev_base_head, net_device.ip_ptr and ip6_ptr).
 *
 * @throws KernelDataError when a list is damaged
 */
export function listNetworkInterfaces(kernel: LinuxKernel): NetworkInterface[] {
  const found: NetworkInterface[] = [];
  const link = kernel.offset("net_device", "dev_list");
  const budget: Budget = { addresses: MOST_ADDRESSES };
  for (const { net, inode, isInitial } of listNetworkNamespaces(kernel)) {
    const head = net.addressOf("dev_base_head");
    for (const address of walkList(kernel.memory, head, "the list of network interfaces", link)) {
      if (found.length >= MOST_INTERFACES) {
        throw new KernelDataError(WHAT, address, `more than ${MOST_INTERFACES} interfaces`);
      }
      try {
        found.push({ ...readInterface(kernel, address, budget), namespace: inode, isInInitialNamespace: isInitial });
      } catch (error) {
        throw KernelDataError.from(error, WHAT, address);
      }
    }
  }
  return found;
}

function readInterface(
  kernel: LinuxKernel,
  address: bigint,
  budget: Budget,
): Omit<NetworkInterface, "namespace" | "isInInitialNamespace"> {
  const device = kernel.at("net_device", address);
  return {
    name: device.text(LONGEST_NAME, "name"),
    index: device.number("ifindex"),
    isUp: (device.number("flags") & IS_UP) !== 0,
    mtu: device.number("mtu"),
    hardwareAddress: readHardwareAddress(kernel, device),
    addresses: [...readInetAddresses(kernel, device, budget), ...readInet6Addresses(kernel, device, budget)],
  };
}

/** An interface without a hardware address has zeros, as `ip link` shows for lo; tunnels have an address without length. */
function readHardwareAddress(kernel: LinuxKernel, device: StructCursor): string {
  const length = Math.min(device.number("addr_len"), LONGEST_HARDWARE_ADDRESS);
  // A pointer since 2.6; its target is const since 5.17.
  const at = device.value("dev_addr");
  if (length === 0 || at === 0n) return "";
  return [...kernel.memory.read(at, length)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function spend(budget: Budget, address: bigint): void {
  if (budget.addresses-- <= 0) throw new KernelDataError(WHAT, address, `more than ${MOST_ADDRESSES} addresses`);
}

/** struct in_ifaddr, a chain that ends with NULL (include/linux/inetdevice.h). */
function readInetAddresses(kernel: LinuxKernel, device: StructCursor, budget: Budget): NetworkAddress[] {
  const addresses: NetworkAddress[] = [];
  let entry = device.follow("ip_ptr")?.follow("ifa_list");
  while (entry) {
    spend(budget, entry.address);
    const bytes = kernel.memory.read(entry.addressOf("ifa_local"), 4);
    addresses.push({ family: "inet", address: formatInet(bytes), prefixLength: entry.number("ifa_prefixlen") });
    entry = entry.follow("ifa_next");
  }
  return addresses;
}

/** struct inet6_ifaddr, a list (include/net/if_inet6.h). */
function readInet6Addresses(kernel: LinuxKernel, device: StructCursor, budget: Budget): NetworkAddress[] {
  const addresses: NetworkAddress[] = [];
  const owner = device.follow("ip6_ptr");
  if (!owner) return addresses;
  const link = kernel.offset("inet6_ifaddr", "if_list");
  for (const at of walkList(kernel.memory, owner.addressOf("addr_list"), WHAT, link)) {
    spend(budget, at);
    const entry = kernel.at("inet6_ifaddr", at);
    const bytes = kernel.memory.read(entry.addressOf("addr"), 16);
    addresses.push({ family: "inet6", address: formatInet6(bytes), prefixLength: entry.number("prefix_len") });
  }
  return addresses;
}
