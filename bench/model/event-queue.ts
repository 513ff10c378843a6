/** Something that happens at a moment of a simulation. */
interface Event {
  /** In seconds from the start. */
  readonly at: number;
  readonly act: () => void;
}

/** The events to come of a simulation, of which the next happens first: a binary heap. */
export class EventQueue {
  readonly #heap: Event[] = [];
  /** The moment of the last event, in seconds from the start. */
  now = 0;

  /** Lets something happen after some time. @param delayS in seconds, from 0 */
  after(delayS: number, act: () => void): void {
    const heap = this.#heap;
    let at = heap.push({ at: this.now + delayS, act }) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (heap[above]!.at <= heap[at]!.at) break;
      [heap[above], heap[at]] = [heap[at]!, heap[above]!];
      at = above;
    }
  }

  /** Lets events happen, one after the other, until a moment. @param untilS in seconds from the start */
  run(untilS: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.at <= untilS; next = this.#heap[0]) {
      this.#removeFirst();
      this.now = next.at;
      next.act();
    }
    this.now = untilS;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let at = 0; ;) {
      let least = at;
      for (const below of [2 * at + 1, 2 * at + 2]) if (below < heap.length && heap[below]!.at < heap[least]!.at) least = below; // prettier-ignore
      if (least === at) return;
      [heap[least], heap[at]] = [heap[at]!, heap[least]!];
      at = least;
    }
  }
}

/** Random numbers that are the same in each run (xorshift32: Marsaglia, 2003). */
export class SeededRandom {
  #state: number;

  /** @param seed from 1 */
  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 to 1, without the ends. */
  next(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return ((this.#state >>> 0) + 0.5) / 2 ** 32;
  }

  /** A time between events that come independently of each other. */
  nextExponential(mean: number): number {
    return -mean * Math.log(this.next());
  }
}
