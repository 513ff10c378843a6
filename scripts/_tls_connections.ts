/** What is remembered of the connections of programs; for tls_plain. */
import type { FunctionCall } from "rebox";
import { RecentMap } from "./_recent_map";

/** Connections that are remembered; programs that never free theirs make more. */
const MOST_CONNECTIONS = 10_000;
/** Threads of which something is remembered. */
export const MOST_THREADS = 10_000;

type Place = Pick<FunctionCall, "pid" | "pgd">;

/**
 * The facts of connections, by process and the address of the library's object; of too many, those that were not used for the longest time
 * are forgotten. Another process may have the address space of one that is gone, so both its number and its address space name it.
 */
export class TlsConnections<Facts extends object> {
  readonly #facts = new RecentMap<string, Facts>(MOST_CONNECTIONS);

  /** @param make the facts of a connection that was not seen before */
  constructor(private readonly make: () => Facts) {}

  get(place: Place, connection: bigint): Facts {
    const found = this.find(place, connection);
    if (found !== undefined) return found;
    const made = this.make();
    this.#facts.set(toKey(place, connection), made);
    return made;
  }

  find(place: Place, connection: bigint): Facts | undefined {
    return this.#facts.get(toKey(place, connection));
  }

  delete(place: Place, connection: bigint): void {
    this.#facts.delete(toKey(place, connection));
  }
}

function toKey({ pid, pgd }: Place, connection: bigint): string {
  return `${pid} ${pgd} ${connection}`;
}
