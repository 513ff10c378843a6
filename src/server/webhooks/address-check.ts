import { BlockList, isIP } from "node:net";
import { ServerError } from "../errors";

/**
 * Networks that a webhook reaches only when the server was started so: what is behind the server's own firewall would do as it is told by
 * somebody outside of it. IANA's registries of special-purpose addresses (RFC 6890), and multicast.
 */
const CLOSED = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
  ...["192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"],
  ...["224.0.0.0/4", "240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23"],
  ...["2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"],
];

/** Says which addresses webhooks may reach. */
export class AddressCheck {
  readonly #closed = makeList(CLOSED);
  readonly #open: BlockList;

  /** @param open networks, "10.0.0.0/8", that they may reach all the same @throws ServerError when one is none */
  constructor(open: readonly string[]) {
    this.#open = makeList(open);
  }

  /** Returns whether an address may be reached. */
  permits(address: string): boolean {
    // An address of IPv4 in the clothes of one of IPv6 is that address.
    const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
    const plain = mapped ?? address;
    const version = isIP(plain);
    if (version === 0) return false;
    const family = version === 4 ? "ipv4" : "ipv6";
    if (this.#open.check(plain, family)) return true;
    return !this.#closed.check(plain, family) && !/^::ffff:/i.test(plain);
  }
}

function makeList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", prefix] = network.split("/");
    const version = isIP(address);
    const longest = version === 4 ? 32 : 128;
    if (version === 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix)) || Number(prefix ?? longest) > longest)
      throw new ServerError(`"${network}" is no network: it must be ADDRESS/BITS, such as 10.0.0.0/8`);
    list.addSubnet(address, Number(prefix ?? longest), version === 4 ? "ipv4" : "ipv6");
  }
  return list;
}
