import { setImmediate as nextTurn } from "node:timers/promises";
import { Engine } from "../machine/engine/engine";
import { getGuest } from "../guest/guest";
import { withGuestPaused } from "../machine/state/guest-pause";
import type { LinuxGuest } from "../systems/linux/linux-guest";
import { findStillMachine } from "../machine/state/machine-access";
import type { InvestigationContext, Vantage } from "./investigation-context";

/** How long work may go on before others have their turn, in milliseconds: as long as a slice of the guest. */
const TURN_MS = 4;

/** Who hears what a run says. */
export interface ContextListener {
  log(text: string): void;
  alert(level: string, text: string): void;
}

/** What a run has at hand in this process: its engine's guest, its memory image, or only this host. */
export class GuestContext implements InvestigationContext {
  readonly vantage: Vantage = findStillMachine() ? "image" : Engine.find() ? "engine" : "host";
  #pausedMs = 0;
  #pauses = 0;
  #pausedSince = 0;
  readonly #resumes = new Set<Promise<void>>();
  #lastTurn = performance.now();

  /**
   * @param timeoutMs after which the run is ended
   * @param folder where it may leave files
   */
  constructor(
    readonly signal: AbortSignal,
    private readonly listener: ContextListener,
    readonly timeoutMs: number,
    readonly folder: string | undefined = undefined,
  ) {}

  get pausedMs(): number {
    return this.#pausedMs + (this.#pauses > 0 ? performance.now() - this.#pausedSince : 0);
  }

  getGuest(): LinuxGuest {
    if (this.vantage === "host") throw new Error("there is no guest here: choose one with -t");
    return getGuest();
  }

  atOneMoment<Result>(look: () => Result): Result {
    if (this.vantage !== "engine") return look();
    this.#beginPause();
    try {
      return look();
    } finally {
      this.#endPause();
    }
  }

  async whilePaused<Result>(look: () => Result | Promise<Result>): Promise<Result> {
    this.signal.throwIfAborted();
    const engine = this.vantage === "engine" ? Engine.get() : undefined;
    if (engine?.state !== "running") return this.#untilAborted(look);
    const looked = withGuestPaused(engine, async () => {
      this.#beginPause();
      try {
        return await this.#untilAborted(look);
      } finally {
        this.#endPause();
      }
    });
    const resumed = looked.then(
      () => undefined,
      () => undefined,
    );
    this.#resumes.add(resumed);
    void resumed.then(() => this.#resumes.delete(resumed));
    return looked;
  }

  /** Settles when the guest goes on that whilePaused() has paused. */
  async untilResumed(): Promise<void> {
    await Promise.all(this.#resumes);
  }

  async turn(): Promise<void> {
    if (performance.now() - this.#lastTurn >= TURN_MS) {
      await nextTurn();
      this.#lastTurn = performance.now();
    }
    this.signal.throwIfAborted();
  }

  log(text: string): void {
    this.listener.log(text);
  }

  alert(level: string, text: string): void {
    this.listener.alert(level, text);
  }

  /** Does not wait for look() longer than the run lasts: the guest must go on then. */
  async #untilAborted<Result>(look: () => Result | Promise<Result>): Promise<Result> {
    const { signal } = this;
    signal.throwIfAborted();
    const looked = Promise.resolve(look());
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      looked.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    });
  }

  #beginPause(): void {
    if (this.#pauses++ === 0) this.#pausedSince = performance.now();
  }

  #endPause(): void {
    if (--this.#pauses === 0) this.#pausedMs += performance.now() - this.#pausedSince;
  }
}
