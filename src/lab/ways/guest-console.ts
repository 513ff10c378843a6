import type { Duplex } from "node:stream";

/** The most of the guest's output that is kept, in characters: it may write without end. */
const MOST_TEXT = 1 << 20;
/** The most of it that messages show, in characters. */
const SHOWN = 300;

/** The serial console of a guest: its output as text, and typing. */
export class GuestConsole {
  #text = "";
  #isOver = false;
  readonly #waiting = new Set<() => void>();

  /** @param stream of the console; this owns it from now on */
  constructor(private readonly stream: Duplex) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      this.#text = (this.#text + text).slice(-MOST_TEXT);
      this.#wake();
    });
    const end = () => {
      this.#isOver = true;
      this.#wake();
    };
    // The machine may go at any time.
    stream.on("error", () => stream.destroy());
    stream.on("end", end);
    stream.on("close", end);
  }

  /** The machine is gone, or its console is. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The output since the last forget(), without the sequences that steer terminals. */
  get text(): string {
    return stripSequences(this.#text);
  }

  /** The end of what was written, for messages. */
  get shown(): string {
    return JSON.stringify(this.text.trim().slice(-SHOWN));
  }

  /** Forgets what was written until now. */
  forget(): void {
    this.#text = "";
  }

  type(text: string): void {
    if (!this.#isOver) this.stream.write(text);
  }

  /**
   * Waits for something to be true of what was written.
   *
   * @param limitMs after which it is given up
   * @param signal ends the wait
   * @param find looks at the text, and returns undefined as long as it is not there
   * @returns what was found; undefined when the time is over, or the console is
   */
  async until<Found>(
    limitMs: number,
    signal: AbortSignal,
    find: (text: string) => Found | undefined,
  ): Promise<Found | undefined> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      signal.throwIfAborted();
      const found = find(this.text);
      const leftMs = endMs - performance.now();
      if (found !== undefined || this.#isOver || leftMs <= 0) return found;
      await this.#change(leftMs, signal);
    }
  }

  /** Waits until nothing has been written for some time, no longer than the limit. */
  async untilQuiet(quietMs: number, limitMs: number, signal: AbortSignal): Promise<void> {
    const endMs = performance.now() + limitMs;
    while (!this.#isOver && performance.now() < endMs) {
      signal.throwIfAborted();
      if (!(await this.#change(quietMs, signal))) return;
    }
  }

  close(): void {
    this.stream.destroy();
  }

  /** Waits for more text or the end; returns false when there is none in time. */
  #change(limitMs: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (isChanged: boolean) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", wake);
        this.#waiting.delete(wake);
        resolve(isChanged);
      };
      const wake = () => settle(true);
      // Node's timers do not wait longer.
      const timer = setTimeout(() => settle(false), Math.min(limitMs, 0x7fffffff));
      signal.addEventListener("abort", wake);
      this.#waiting.add(wake);
    });
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

/** Takes out what ECMA-48 calls control sequences and strings, and carriage returns. */
function stripSequences(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][0-9A-Za-z]|[=>78cDEHM])|\r/g, "");
}
