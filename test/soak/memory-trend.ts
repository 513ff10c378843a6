import { readFileSync } from "node:fs";

const MIB = 1024 * 1024;
/** The part of a run in which memory may grow as it likes: pools fill, code is compiled. */
const WARM_UP = 0.3;
/** What a process may grow by after that, without a trend: V8 gives memory back when it likes. */
const RSS_LIMIT_MIB = 96;
const HEAP_LIMIT_MIB = 8;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/** Follows how much memory a process holds; says so when it grows after a warm-up. */
export class MemoryTrend {
  readonly #start = Date.now();
  readonly #rss: { at: number; mib: number }[] = [];
  readonly #heap: { at: number; mib: number }[] = [];

  /** @param seconds how long the run will take */
  constructor(readonly seconds: number) {}

  /** Adds what a process holds now. */
  addProcess(pid: number): void {
    try {
      const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
      if (kib > 0) this.#rss.push({ at: this.#now(), mib: kib / 1024 });
    } catch {
      // It has just ended.
    }
  }

  /** Adds what the script's heap holds after a garbage collection, in bytes. */
  addHeap(bytes: number): void {
    this.#heap.push({ at: this.#now(), mib: bytes / MIB });
  }

  /** Returns what has grown too much. */
  check(): string[] {
    const rss = this.#growth(this.#rss);
    const heap = this.#growth(this.#heap);
    return [
      ...(rss > RSS_LIMIT_MIB ? [`the process grew by ${rss.toFixed(0)} MiB: ${this.#course(this.#rss)}`] : []),
      ...(heap > HEAP_LIMIT_MIB ? [`the heap grew by ${heap.toFixed(1)} MiB: ${this.#course(this.#heap)}`] : []),
    ];
  }

  get summary(): string {
    return `process ${this.#course(this.#rss)} MiB, heap ${this.#course(this.#heap)} MiB`;
  }

  #now(): number {
    return (Date.now() - this.#start) / 1000;
  }

  /** The medians of the first and of the last quarter after the warm-up differ by so many MiB. */
  #growth(samples: readonly { at: number; mib: number }[]): number {
    const warm = samples.filter(({ at }) => at >= this.seconds * WARM_UP).map(({ mib }) => mib);
    const quarter = Math.max(1, warm.length >> 2);
    return warm.length < 2 ? 0 : median(warm.slice(-quarter)) - median(warm.slice(0, quarter));
  }

  /** Ten of the samples, over time. */
  #course(samples: readonly { at: number; mib: number }[]): string {
    const step = Math.max(1, Math.floor(samples.length / 10));
    return samples
      .filter((_, index) => index % step === 0)
      .map(({ mib }) => mib.toFixed(0))
      .join(" ");
  }
}
