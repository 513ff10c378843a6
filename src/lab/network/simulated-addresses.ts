/**
 * The addresses of every simulated network. They are those of QEMU's user network, so that a system that was frozen in one of the
 * two finds itself at home in the other: docs/system/devices/net.rst of QEMU.
 */
export const ADDRESSES = {
  /** The first address that the guest is given. */
  guest: "10.0.2.15",
  lastGuest: "10.0.2.31",
  /** The router, at which all servers listen. */
  gateway: "10.0.2.2",
  nameServer: "10.0.2.3",
  prefix: 24,
  broadcast: "10.0.2.255",
  /** Of the gateway's card. */
  mac: "52:55:0a:00:02:02",
  /** The address of every name: one of those that stand in documents (RFC 5737), and that no host has. */
  named: "198.51.100.1",
} as const;

/** The device of the machine within the namespace. */
export const TAP = "tap0";

/** The ports of INetSim's services, without that of HTTPS, which another server takes. */
const SERVED = {
  tcp: [1, 7, 9, 13, 17, 19, 21, 25, 37, 53, 79, 80, 110, 113, 443, 465, 990, 995, 6667],
  udp: [1, 7, 9, 13, 17, 19, 37, 53, 69, 123, 514],
} as const;

/** Ports on which programs speak what another port is for. */
const ALIASES = {
  80: [3128, 8000, 8008, 8080, 8081, 8888],
  443: [4443, 8443],
  25: [587, 2525],
  6667: [6660, 6668, 6669],
};

/** The port of the server that takes what no other is for. */
const ANY_PORT = 1;

/** Returns the rules of nft(8) that bring all that the guest sends to the servers of its network. */
export function getRedirections(): string {
  const to = (port: number | undefined) => `dnat to ${ADDRESSES.gateway}${port === undefined ? "" : `:${port}`}`;
  const aliases = Object.entries(ALIASES).map(
    ([port, others]) => `tcp dport { ${others.join(", ")} } ${to(Number(port))}`,
  );
  return `table ip rebox {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    iifname != "${TAP}" accept
    ip daddr { ${ADDRESSES.broadcast}, 255.255.255.255, 224.0.0.0/4 } accept
    tcp dport { ${SERVED.tcp.join(", ")} } ${to(undefined)}
    udp dport { ${SERVED.udp.join(", ")}, 67 } ${to(undefined)}
    ${aliases.join("\n    ")}
    meta l4proto tcp ${to(ANY_PORT)}
    meta l4proto udp ${to(ANY_PORT)}
    meta l4proto icmp ${to(undefined)}
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
  }
}
`;
}
