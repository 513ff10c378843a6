/** Joins words that ptrace() writes one behind the other; for injections. */
import type { InjectionProcess } from "./_injection_watcher";

/** What is kept of them, in bytes. */
const MOST_BYTES = 1 << 20;
/** After so long without another word they are told. */
const PATIENCE_MS = 200;

/** Bytes that one process has written into another. */
export interface Poke {
  readonly by: InjectionProcess;
  readonly target: InjectionProcess;
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** Collects words while each continues the one before. */
export class PokeCollector {
  #first: Poke | undefined;
  #parts: Uint8Array[] = [];
  #size = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param onPoke gets what belongs together */
  constructor(private readonly onPoke: (poke: Poke) => void) {}

  add(poke: Poke): void {
    const first = this.#first;
    const continues =
      first?.by.pid === poke.by.pid &&
      first.target.pid === poke.target.pid &&
      first.address + BigInt(this.#size) === poke.address &&
      this.#size < MOST_BYTES;
    if (!continues) {
      this.flush();
      this.#first = poke;
    }
    this.#parts.push(poke.bytes);
    this.#size += poke.bytes.length;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), PATIENCE_MS);
  }

  /** Tells what was collected. */
  flush(): void {
    clearTimeout(this.#timer);
    const first = this.#first;
    if (first === undefined) return;
    const bytes = new Uint8Array(this.#size);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    this.#first = undefined;
    this.#parts = [];
    this.#size = 0;
    this.onPoke({ ...first, bytes });
  }
}
