import { findGuest, type SocketFacts } from "rebox";
import { findEnds, type FrameEnds } from "./frame-ends";

/** A conversation of TCP is asked about again when one begins anew, others after this time, in milliseconds. */
const KEEP_MS = 2_000;
const MOST_KNOWN = 20_000;
/** Sockets are listed while the guest is paused: over time, it is kept from running for no more than this part of it. */
const PART_OF_TIME = 1 / 5;
/** It may be paused for so long at once after a calm time, in milliseconds: the first time takes much longer than later ones. */
const LONGEST_CREDIT_MS = 2_000;
/** A conversation whose socket is not found is asked about so often. */
const MOST_TRIES = 3;

interface Known {
  readonly owner: string | undefined;
  readonly untilMs: number;
  readonly tries: number;
}

/** Finds which process of the guest has the socket that a frame comes from or goes to. */
export class FrameOwners {
  readonly #known = new Map<string, Known>();
  #sockets: readonly (SocketFacts & { readonly owner: string })[] = [];
  #creditMs = LONGEST_CREDIT_MS;
  #lastListMs = performance.now();

  /**
   * Finds the process of a frame.
   *
   * @param isSent by the guest; else it receives it
   * @returns "wget (512)", several with commas between them; undefined when no process has such a socket, or not any longer
   */
  find(frame: Buffer, isSent: boolean): string | undefined {
    const ends = findEnds(frame);
    if (ends === undefined) return undefined;
    const own = isSent ? ends : turn(ends);
    const key = `${own.source} ${own.sourcePort} ${own.destination} ${own.destinationPort}`;
    const nowMs = performance.now();
    const known = this.#known.get(key);
    if (known !== undefined && known.owner !== undefined && nowMs < known.untilMs) return known.owner;
    if (known !== undefined && known.tries >= MOST_TRIES && nowMs < known.untilMs) return undefined;
    if (!this.#list(nowMs)) return known?.owner;
    const owner = this.#match(own) ?? known?.owner;
    if (this.#known.size >= MOST_KNOWN) this.#known.clear();
    const tries = known !== undefined && nowMs < known.untilMs ? known.tries + 1 : 1;
    this.#known.set(key, { owner, untilMs: nowMs + KEEP_MS, tries });
    return owner;
  }

  /** Returns whether the sockets are those of now; a flood of new conversations uses the time up that this may take. */
  #list(nowMs: number): boolean {
    this.#creditMs = Math.min(LONGEST_CREDIT_MS, this.#creditMs + (nowMs - this.#lastListMs) * PART_OF_TIME);
    this.#lastListMs = nowMs;
    if (this.#creditMs <= 0) return false;
    // Other processes of a busy host have their time, too, which is no cost of ours.
    const before = process.cpuUsage();
    try {
      const guest = findGuest();
      const owners = guest?.getSocketOwners();
      this.#sockets = (guest?.getSockets() ?? []).flatMap((socket) => {
        const processes = owners?.get(socket.kaddr) ?? [];
        if (processes.length === 0 || !socket.family.startsWith("inet")) return [];
        return [{ ...socket, owner: processes.map(({ name, pid }) => `${name} (${pid})`).join(", ") }];
      });
    } catch {
      // The guest was just changing its tables; the next frame finds them whole.
      this.#sockets = [];
    }
    const { user, system } = process.cpuUsage(before);
    this.#creditMs -= (user + system) / 1000;
    return true;
  }

  /** A connected socket is taken before one that is open to all. */
  #match({ source, sourcePort, destination, destinationPort }: FrameEnds): string | undefined {
    const own = this.#sockets.filter(({ localPort }) => localPort === sourcePort);
    const connected = own.find(
      ({ remoteAddress, remotePort }) => remotePort === destinationPort && plain(remoteAddress) === destination,
    );
    const open = own.find(
      ({ localAddress, remotePort }) => remotePort === 0 && (isAny(localAddress) || plain(localAddress) === source),
    );
    return (connected ?? open)?.owner;
  }
}

function turn({ source, sourcePort, destination, destinationPort }: FrameEnds): FrameEnds {
  return { source: destination, sourcePort: destinationPort, destination: source, destinationPort: sourcePort };
}

/** Sockets of IPv6 speak IPv4, too. */
function plain(address: string): string {
  return address.replace(/^::ffff:/, "");
}

function isAny(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}
