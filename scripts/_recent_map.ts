/** A map that keeps what was used last: for what a guest makes as much of as it likes. */

/** A map of at most so many entries; the one that was not asked for or set for the longest time goes first. */
export class RecentMap<Key, Value> {
  readonly #entries = new Map<Key, Value>();

  /** @param most entries, 1 or more */
  constructor(private readonly most: number) {}

  get size(): number {
    return this.#entries.size;
  }

  /** Finds an entry, which is the last to go then. */
  get(key: Key): Value | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    // A map is in the order in which its keys were set.
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: Key, value: Value): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size <= this.most) return;
    const [oldest] = this.#entries.keys();
    this.#entries.delete(oldest!);
  }

  delete(key: Key): boolean {
    return this.#entries.delete(key);
  }
}
