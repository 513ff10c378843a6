import { BlockList, isIP } from "node:net";
import { type LinuxGuest, type LinuxProcess, type SocketFacts } from "rebox";
import {
  compileExpression,
  type Findings,
  formatDuration,
  Investigation,
  type InvestigationResult,
  parseFlags,
  registerInvestigation,
  z,
} from "rebox/investigation";

const LARGEST_PORT = 65535;
const MASK = "masked";
/** IPPROTO_TCP, IPPROTO_UDP and UDP-Lite */
const TCP = 6;
const DATAGRAMS: ReadonlySet<number> = new Set([17, 136]);
/** As Linux calls a UDP socket that is bound, but not connected. */
const UNCONNECTED = "CLOSE";

const texts = z.array(z.string()).default([]);
const Parameters = z.strictObject({
  localmac: texts.describe("Own hardware addresses: regular expressions, upper and lower case alike."),
  neighbormac: texts.describe("Hardware addresses of neighbours: regular expressions, upper and lower case alike."),
  localip: texts.describe("Own addresses and networks in CIDR notation, v4 and v6."),
  neighborip: texts.describe("Addresses and networks of neighbours."),
  connectedip: texts.describe("Addresses and networks that connections lead to."),
  listeningport: texts.describe("Numbers of ports that are listened on."),
  listening: z.boolean().default(false).describe("Every port that is listened on."),
  namespaces: z.boolean().default(false).describe("In all network namespaces, not only that of the first process."),
});
type Parameters = z.infer<typeof Parameters>;

const KINDS = ["localmac", "neighbormac", "localip", "neighborip", "connectedip", "listeningport"] as const;
type Kind = (typeof KINDS)[number];

interface Element {
  readonly localmacaddr?: string;
  readonly remotemacaddr?: string;
  readonly localaddr?: string;
  readonly localport?: number;
  readonly remoteaddr?: string;
  readonly remoteport?: number;
  readonly namespace: string;
  readonly interface?: string;
  readonly protocol?: string;
  readonly state?: string;
  readonly processes?: readonly { readonly pid: number; readonly name: string }[];
}
type Elements = Partial<Record<Kind, Record<string, Element[]>>>;

interface Statistics {
  readonly examined: number;
  readonly exectime: string;
  readonly totalhits: number;
}

const FLAGS: Readonly<Record<string, Kind>> = {
  ...{ lm: "localmac", nm: "neighbormac", li: "localip", ni: "neighborip", ci: "connectedip", lp: "listeningport" },
};

const HELP = `netstat finds interfaces, neighbours, connections and listening ports of a guest, and the processes that have them.

-lm REGEX      a link-layer address of an interface, as "^52:54:00"
-nm REGEX      a link-layer address of a neighbour
-li ADDRESS    an address of an interface, or a network: 10.0.0.0/8, 2001:db8::/32
-ni ADDRESS    an address of a neighbour
-ci ADDRESS    an address that something is connected with, v4 also through sockets of v6
-lp PORT       a port that is listened on, TCP or UDP
-listening     every port that is listened on
-namespaces    looks into all network namespaces

Each may be given several times, but -listening and -namespaces.`;

class Netstat extends Investigation<Parameters, Elements, Statistics> {
  protected readonly schema = Parameters as z.ZodType<Parameters>;

  override validateParameters(): void {
    const { localmac, neighbormac, localip, neighborip, connectedip, listeningport } = this.parameters;
    for (const source of [...localmac, ...neighbormac]) compileMac(source);
    for (const text of [...localip, ...neighborip, ...connectedip]) compileNetwork(text);
    for (const text of listeningport) readPort(text);
    if (!this.parameters.listening && KINDS.every((kind) => this.parameters[kind].length === 0)) {
      throw new Error(`nothing is looked for: give at least one of ${KINDS.join(", ")}, or listening for all ports`);
    }
  }

  protected investigate(): Findings<Elements, Statistics> {
    const startMs = performance.now();
    const guest = this.context.getGuest();
    const { elements, examined, errors } = this.context.atOneMoment(() => new Look(guest, this.parameters).look());
    const totalhits = KINDS.flatMap((kind) => Object.values(elements[kind] ?? {})).reduce(
      (sum, found) => sum + found.length,
      0,
    );
    const exectime = formatDuration((performance.now() - startMs) * 1e6);
    return { found: totalhits > 0, elements, statistics: { examined, exectime, totalhits }, errors };
  }

  printResults(result: InvestigationResult, foundOnly: boolean): string[] {
    const elements = (result.elements ?? {}) as Elements;
    const lines: string[] = [];
    for (const kind of KINDS) {
      for (const [value, found] of Object.entries(elements[kind] ?? {})) {
        for (const element of found) lines.push(`${describe(kind, element)} for ${kind} '${value}'`);
        if (found.length === 0 && !foundOnly) lines.push(`nothing for ${kind} '${value}'`);
      }
      if (elements[kind] && Object.keys(elements[kind]).length === 0 && !foundOnly) lines.push("nothing listens");
    }
    if (foundOnly) return lines;
    for (const error of result.errors ?? []) lines.push(`error: ${error}`);
    const statistics = result.statistics as Statistics | null;
    if (statistics) {
      const { totalhits, examined, exectime } = statistics;
      lines.push(`stat: ${totalhits} found among ${examined} items in ${exectime}`);
    }
    return lines;
  }

  paramsParser(args: readonly string[]): Parameters {
    const kinds = Object.fromEntries(Object.keys(FLAGS).map((name) => [name, "texts" as const]));
    const switches = { listening: "switch", namespaces: "switch" } as const;
    const { listening = false, namespaces = false, ...given } = parseFlags(args, { ...kinds, ...switches }, HELP);
    const lists = Object.entries(given).map(([flag, values]) => [FLAGS[flag] as Kind, values]);
    return this.accept({ ...Object.fromEntries(lists), listening, namespaces });
  }

  /** Addresses on the other side of a connection, and of neighbours. */
  enhancePrivacy(result: InvestigationResult): InvestigationResult {
    const elements = result.elements as Elements | null;
    if (!elements) return result;
    const mask = (found: Element[]): Element[] =>
      found.map((element) => (element.remoteaddr === undefined ? element : { ...element, remoteaddr: MASK }));
    const masked = Object.entries(elements).map(([kind, byValue]) => [
      kind,
      Object.fromEntries(Object.entries(byValue).map(([value, found]) => [value, mask(found)])),
    ]);
    return { ...result, elements: Object.fromEntries(masked) as Elements };
  }
}

/** One look at a guest that stands still. What is not asked for is not read. */
class Look {
  readonly #errors: string[] = [];
  #examined = 0;
  #initial: number | undefined;
  #owners: ReadonlyMap<bigint, readonly LinuxProcess[]> | undefined;

  constructor(
    private readonly guest: LinuxGuest,
    private readonly parameters: Parameters,
  ) {}

  look(): { elements: Elements; examined: number; errors: string[] } {
    const { localmac, neighbormac, localip, neighborip, connectedip, listeningport, listening } = this.parameters;
    const elements: Elements = {};
    const asksInterfaces = localmac.length > 0 || localip.length > 0;
    const interfaces = asksInterfaces ? this.#attempt(() => this.guest.getNetworkInterfaces()) : [];
    if (!this.parameters.namespaces) this.#initial = findInitialNamespace(this.guest);

    const cards = this.#among(interfaces);
    this.#search(elements, "localmac", localmac, (source) => {
      const expression = compileMac(source);
      return cards
        .filter(({ hardwareAddress: mac }) => /[1-9a-f]/.test(mac) && expression.test(mac))
        .map((card) => ({ localmacaddr: card.hardwareAddress, interface: card.name, ...where(card) }));
    });
    this.#search(elements, "localip", localip, (text) => {
      const contains = compileNetwork(text);
      return cards.flatMap((card) =>
        card.addresses
          .filter(({ address }) => contains(address))
          .map(({ address }) => ({ localaddr: address, interface: card.name, ...where(card) })),
      );
    });

    const asksNeighbours = neighbormac.length > 0 || neighborip.length > 0;
    // NOARP: addresses of groups, and what needs none. `ip neigh` leaves them out, too.
    const neighbours = this.#among(asksNeighbours ? this.#attempt(() => this.guest.getNeighbours()) : []).filter(
      ({ state }) => state !== "NOARP" && state !== "NONE",
    );
    const toElement = (one: (typeof neighbours)[number]): Element => ({
      ...(one.mac === "" ? {} : { remotemacaddr: one.mac }),
      ...{ remoteaddr: one.address, interface: one.device, state: one.state, ...where(one) },
    });
    this.#search(elements, "neighbormac", neighbormac, (source) => {
      const expression = compileMac(source);
      return neighbours.filter(({ mac }) => mac !== "" && expression.test(mac)).map(toElement);
    });
    this.#search(elements, "neighborip", neighborip, (text) => {
      const contains = compileNetwork(text);
      return neighbours.filter(({ address }) => contains(address)).map(toElement);
    });

    const asksSockets = connectedip.length > 0 || listeningport.length > 0 || listening;
    const sockets = this.#among(asksSockets ? this.#attempt(() => this.guest.getSockets()) : []).filter(
      ({ family, protocol }) => /^inet6?$/.test(family) && (protocol === TCP || DATAGRAMS.has(protocol)),
    );
    this.#search(elements, "connectedip", connectedip, (text) => {
      const contains = compileNetwork(text);
      return sockets
        .filter(({ remotePort, remoteAddress }) => remotePort !== 0 && contains(remoteAddress))
        .map((socket) => ({
          ...this.#toElement(socket),
          ...{ remoteaddr: socket.remoteAddress, remoteport: socket.remotePort },
        }));
    });
    const listeners = sockets.filter(isListening).sort(byEnd);
    const ports = listening ? listeners.map(({ localPort }) => String(localPort)) : [];
    if (listening) elements.listeningport = {};
    this.#search(elements, "listeningport", [...new Set([...listeningport, ...ports])], (text) => {
      const port = readPort(text);
      return listeners.filter(({ localPort }) => localPort === port).map((socket) => this.#toElement(socket));
    });
    return { elements, examined: this.#examined, errors: this.#errors };
  }

  #search(elements: Elements, kind: Kind, values: readonly string[], find: (value: string) => Element[]): void {
    if (values.length > 0) elements[kind] = Object.fromEntries(values.map((value) => [value, find(value)]));
  }

  /** Those of the network that the guest has started with, or of all. */
  #among<T extends { readonly namespace: number }>(all: readonly T[]): readonly T[] {
    const found = this.parameters.namespaces ? all : all.filter(({ namespace }) => namespace === this.#initial);
    this.#examined += found.length;
    return found;
  }

  /** What cannot be read is an error of its own: the rest may still be answered. */
  #attempt<T>(read: () => readonly T[]): readonly T[] {
    try {
      return read();
    } catch (error) {
      this.#errors.push((error as Error).message);
      return [];
    }
  }

  #toElement(socket: SocketFacts): Element {
    this.#owners ??= new Map(this.#attempt(() => [...this.guest.getSocketOwners()]));
    const owners = this.#owners.get(socket.kaddr) ?? [];
    return {
      ...{ localaddr: socket.localAddress, localport: socket.localPort, ...where(socket) },
      ...{ protocol: socket.protocol === TCP ? "tcp" : "udp", state: socket.state },
      processes: owners.map(({ pid, name }) => ({ pid, name })),
    };
  }
}

/** The network that the guest has started with. */
function findInitialNamespace(guest: LinuxGuest): number {
  return Number(guest.struct("net", guest.kernel.symbol("init_net")).ns.inum);
}

function where({ namespace }: { readonly namespace: number }): { readonly namespace: string } {
  return { namespace: `net:[${namespace}]` };
}

/** UDP sockets listen when they are bound, and to nobody alone. */
function isListening({ protocol, state, localPort, remotePort }: SocketFacts): boolean {
  return protocol === TCP ? state === "LISTEN" : state === UNCONNECTED && localPort !== 0 && remotePort === 0;
}

function byEnd(one: SocketFacts, other: SocketFacts): number {
  const key = ({ protocol, localAddress }: SocketFacts): string => `${protocol} ${localAddress}`;
  return one.localPort - other.localPort || (key(one) < key(other) ? -1 : 1);
}

function compileMac(source: string): RegExp {
  const { source: body, flags } = compileExpression(source);
  return new RegExp(body, flags.includes("i") ? flags : `${flags}i`);
}

/** Compiles an address, or a network in CIDR notation, to what tells whether an address is it, or within it. */
function compileNetwork(text: string): (address: string) => boolean {
  const [, address = "", length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  const bits = version === 4 ? 32 : 128;
  if (version === 0 || address.includes("%") || (length !== undefined && Number(length) > bits)) {
    throw new Error(`invalid IPv{4,6}${text.includes("/") ? " CIDR" : ""} ${text}: it must be an IP or a CIDR`);
  }
  const list = new BlockList();
  list.addSubnet(address, length === undefined ? bits : Number(length), version === 4 ? "ipv4" : "ipv6");
  // An IPv4 address within a socket of IPv6, "::ffff:10.0.0.1", counts as one of IPv4, too; no other is of both.
  return (other) => (other.includes(":") ? list.check(other, "ipv6") : version === 4 && list.check(other, "ipv4"));
}

function readPort(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new Error(`${text} is not a valid port; listening asks for all`);
  const port = Number(text);
  if (port < 1 || port > LARGEST_PORT)
    throw new Error(`port out of range: ${text} is not between 1 and ${LARGEST_PORT}`);
  return port;
}

function describe(kind: Kind, element: Element): string {
  const at = element.interface === undefined ? "" : ` on ${element.interface}`;
  const owners = (element.processes ?? []).map(({ pid, name }) => `${name} (${pid})`).join(", ");
  const by = owners === "" ? "" : ` by ${owners}`;
  switch (kind) {
    case "localmac":
      return `found local mac ${element.localmacaddr}${at}`;
    case "localip":
      return `found local ip ${element.localaddr}${at}`;
    case "neighbormac":
    case "neighborip":
      return `found neighbor ${element.remoteaddr} with mac ${element.remotemacaddr ?? "unknown"}${at}`;
    case "connectedip": {
      const [remote, local] = [
        `${element.remoteaddr}:${element.remoteport}`,
        `${element.localaddr}:${element.localport}`,
      ];
      return `found ${element.protocol} connection of ${local} with ${remote} ${element.state}${by}`;
    }
    default:
      return `found ${element.protocol} port ${element.localport} listening at ${element.localaddr}${by}`;
  }
}

registerInvestigation("netstat", { newRun: (context) => new Netstat(context) });
