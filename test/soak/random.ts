/** Makes the same choices for the same seed: splitmix64's mixing function over a counter. */
export class Random {
  #state: bigint;

  /**
   * @param seed any whole number
   * @param stream tells apart sequences of one seed
   */
  constructor(seed: number, stream = 0) {
    this.#state = BigInt.asUintN(64, BigInt(seed) * 0x100000001b3n + BigInt(stream) * 0x632be59bd9b4e019n);
  }

  /** Chooses a whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    this.#state = BigInt.asUintN(64, this.#state + 0x9e3779b97f4a7c15n);
    let mixed = this.#state;
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    mixed ^= mixed >> 31n;
    return low + Number(mixed % BigInt(high - low + 1));
  }

  /** Tells yes in so many of a hundred cases. */
  chance(percent: number): boolean {
    return this.between(1, 100) <= percent;
  }

  /** Chooses one element. */
  pick<Element>(elements: readonly Element[]): Element {
    return elements[this.between(0, elements.length - 1)]!;
  }
}
