/** What is remembered of the connections of programs; for tls_plain. */
import type { FunctionCall } from "rebox";

/** Connections that are remembered; programs that never free theirs make more. */
const MOST_CONNECTIONS = 10_000;

/** The facts of connections, by process and the address of the library's object; of too many, those that were made first are forgotten. */
export class TlsConnections<Facts extends object> {
  readonly #facts = new Map<string, Facts>();

  /** @param make the facts of a connection that was not seen before */
  constructor(private readonly make: () => Facts) {}

  get({ pgd }: Pick<FunctionCall, "pgd">, connection: bigint): Facts {
    const key = `${pgd} ${connection}`;
    let found = this.#facts.get(key);
    if (found === undefined) {
      const [oldest] = this.#facts.keys();
      if (this.#facts.size >= MOST_CONNECTIONS && oldest !== undefined) this.#facts.delete(oldest);
      this.#facts.set(key, (found = this.make()));
    }
    return found;
  }

  find({ pgd }: Pick<FunctionCall, "pgd">, connection: bigint): Facts | undefined {
    return this.#facts.get(`${pgd} ${connection}`);
  }

  delete({ pgd }: Pick<FunctionCall, "pgd">, connection: bigint): void {
    this.#facts.delete(`${pgd} ${connection}`);
  }
}
