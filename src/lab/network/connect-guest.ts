import { callAsyncWithin } from "../../config/limits";
import { TimeLimitError } from "../../config/errors";
import type { GuestWay } from "../ways/guest-way";
import type { NetworkChoice } from "./network-choice";
import { ADDRESSES } from "./simulated-addresses";

/** How long the guest's own network manager may take, in seconds; then the address is set without it. */
const MANAGER_LIMIT_S = 8;
/** And how long while it is still at work: a client of DHCP whose first question is lost asks again after up to 8 s. */
const BUSY_MANAGER_LIMIT_S = 20;
/** Of everything, in milliseconds: a guest that is busy is slow. */
const LIMIT_MS = 60_000;

/** The end of the attempt to connect a guest. */
export type GuestConnection =
  /** It has an address, a router and a server of names. */
  | "connected"
  /** Its network manager has fetched them just now. */
  | "fetched"
  /** They were set without its network manager, which does not care for the card, or got no answer. */
  | "set"
  /** It has no card with a driver. */
  | "no card"
  | { readonly failure: string };

const ANSWERS: ReadonlyMap<number, GuestConnection> = new Map([
  [0, "connected"],
  [21, "fetched"],
  [22, "set"],
  [23, "no card"],
]);

/** Writes commands for sh that look whether a guest is connected; undefined where it is to have no network. */
export function writeNetworkLook(network: NetworkChoice): string | undefined {
  if (network.kind === "none") return undefined;
  const look = writeCheck(getGateway(network));
  return network.kind === "bridge" ? FORGET_NEIGHBOURS + look : look;
}

/**
 * On a bridge the router has another hardware address than in the network that the guest was frozen in, and the guest would send to that
 * one for some ten seconds. The other networks have the same.
 */
const FORGET_NEIGHBOURS = "PATH=$PATH:/usr/sbin:/sbin ip neigh flush all >/dev/null 2>&1; ";

/** Returns the router's address as /proc/net/route has it, for grep. */
function getGateway({ kind }: NetworkChoice): string {
  return kind === "bridge" ? "[0-9A-F]*" : writeRouteAddress(ADDRESSES.gateway);
}

/**
 * Sees to it that a guest has an address in its network, which may be another than the one that its system was frozen in: its network
 * manager is told, and where that does nothing, the address that the network gives away is set.
 *
 * @param seen the exit status of writeNetworkLook(), where that was executed already
 * @returns what was done; it never throws but for the signal's reason and the machine's end
 */
export async function connectGuest(
  way: GuestWay,
  network: NetworkChoice,
  signal: AbortSignal,
  seen?: number,
): Promise<GuestConnection> {
  const { kind } = network;
  const look = writeNetworkLook(network);
  if (look === undefined) return "connected";
  try {
    return await callAsyncWithin("the guest's network", LIMIT_MS, signal, async (own) => {
      // The common case is short: what is typed on a console takes its time.
      const found = ANSWERS.get(seen ?? (await way.runScript(`(${look})`, own)).status);
      if (found !== undefined) return found;
      const done = await way.runScript(`(${writeConnection(getGateway(network), kind !== "bridge")})`, own);
      return ANSWERS.get(done.status) ?? { failure: done.output.trim() || "no answer came, and none can be set" };
    });
  } catch (error) {
    if (!(error instanceof TimeLimitError)) throw error;
    return { failure: error.message };
  }
}

/** Writes an IPv4 address as /proc/net/route has it: a number in the order of this processor's bytes. */
function writeRouteAddress(address: string): string {
  const bytes = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return bytes.toReversed().join("").toUpperCase();
}

/** Ends with 0 when the guest is connected, 23 when it cannot be. */
function writeCheck(gateway: string): string {
  return (
    `grep -q '[[:space:]]00000000[[:space:]]${gateway}[[:space:]]' /proc/net/route && grep -q ^nameserver /etc/resolv.conf && exit 0; ` +
    "ls -d /sys/class/net/*/device >/dev/null 2>&1 || exit 23; exit 24"
  );
}

/**
 * Each card's manager is told to begin anew: systemd-networkd, NetworkManager, ifupdown; where none has it, a client of DHCP is
 * started. All of that happens behind, because it may wait for long.
 */
function writeConnection(gateway: string, isKnown: boolean): string {
  const { guest, prefix, gateway: router, nameServer } = ADDRESSES;
  return `is_up() { grep -q '[[:space:]]00000000[[:space:]]${gateway}[[:space:]]' /proc/net/route && grep -q ^nameserver /etc/resolv.conf; }
has() { command -v "$1" >/dev/null 2>&1; }
runs() { has systemctl && systemctl is-active --quiet "$1"; }
renew() {
if runs systemd-networkd && networkctl status "$1" | grep -q '\\.network$'; then networkctl reconfigure "$1" && return; fi
if runs NetworkManager && nmcli -w 5 device connect "$1"; then return; fi
if has ifquery && ifquery "$1"; then ifdown --force "$1"; ifup "$1" && return; fi
ip link set "$1" up || ifconfig "$1" up
if has dhclient; then dhclient -1 "$1"; elif has dhcpcd; then dhcpcd -n "$1" || dhcpcd "$1"; elif has udhcpc; then udhcpc -n -q -i "$1"; fi
}
PATH=$PATH:/usr/sbin:/sbin
first=
renewing=
for card in /sys/class/net/*; do
[ -e "$card/device" ] || continue
first=\${first:-\${card##*/}}
renew "\${card##*/}" </dev/null >/dev/null 2>&1 &
renewing="$renewing $!"
done
is_busy() { for pid in $renewing; do kill -0 $pid 2>/dev/null && return 0; done; return 1; }
begin=$(cut -d. -f1 /proc/uptime)
until is_up; do
took=$(($(cut -d. -f1 /proc/uptime) - begin))
[ $took -lt ${MANAGER_LIMIT_S} ] || { [ $took -lt ${BUSY_MANAGER_LIMIT_S} ] && is_busy; } || break
sleep 0.1 2>/dev/null || sleep 1
done
is_up && exit 21
${isKnown ? "" : "exit 25"}
if has ip; then ip link set $first up; ip address replace ${guest}/${prefix} broadcast + dev $first; ip route replace default via ${router} dev $first
else ifconfig $first ${guest} netmask 255.255.255.0 up; route add default gw ${router}; fi
if runs systemd-resolved; then resolvectl dns $first ${nameServer}; resolvectl domain $first '~.'; fi
if ! grep -q ^nameserver /etc/resolv.conf; then
[ -e /etc/resolv.conf ] || rm -f /etc/resolv.conf
echo nameserver ${nameServer} >>/etc/resolv.conf
fi
is_up && exit 22
exit 25`;
}
