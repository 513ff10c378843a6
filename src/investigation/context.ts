import { setImmediate as nextTurn } from "node:timers/promises";
import { getGuest } from "../guest/guest";
import { Engine } from "../machine/engine/engine";
import { withGuestPaused } from "../machine/state/guest-pause";
import { findStillMachine } from "../machine/state/machine-access";
import type { LinuxGuest } from "../systems/linux/linux-guest";
import type { InvestigationContext, Vantage } from "./module";
import { NoGuestError } from "./errors";

/** The time that work may take before it yields, in milliseconds: as long as a slice of the guest. */
const TURN_MS = 4;

/** Receives the log lines and alerts of a run. */
export interface ContextListener {
  log(text: string): void;
  alert(level: string, text: string): void;
}

/** The context of a run in this process: its engine's guest, its memory image, or only this host. */
export class GuestContext implements InvestigationContext {
  readonly vantage: Vantage = findStillMachine() ? "image" : Engine.find() ? "engine" : "host";
  #pausedMs = 0;
  #pauses = 0;
  #pausedSince = 0;
  readonly #resumes = new Set<Promise<void>>();
  #lastTurn = performance.now();

  /**
   * @param timeoutMs the time limit of the run, in milliseconds
   * @param folder the folder in which the run may leave files
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
    if (this.vantage === "host")
      throw new NoGuestError("local is this host alone, and this module asks a guest: choose one with -t");
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

  /** Settles when the guest that whilePaused() has paused continues. */
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

  /** Waits for look() no longer than the run lasts: the guest must continue then. */
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

/** A context whose signal is also aborted by a stop message that the run itself has read. */
export class StoppableContext implements InvestigationContext {
  readonly signal: AbortSignal;

  constructor(
    private readonly base: InvestigationContext,
    private readonly stop: AbortSignal,
  ) {
    this.signal = AbortSignal.any([base.signal, stop]);
  }

  get vantage(): Vantage {
    return this.base.vantage;
  }

  get pausedMs(): number {
    return this.base.pausedMs;
  }

  get folder(): string | undefined {
    return this.base.folder;
  }

  get timeoutMs(): number {
    return this.base.timeoutMs;
  }

  atOneMoment<Result>(look: () => Result): Result {
    return this.base.atOneMoment(look);
  }

  getGuest(): LinuxGuest {
    return this.base.getGuest();
  }

  whilePaused<Result>(look: () => Result | Promise<Result>): Promise<Result> {
    return this.base.whilePaused(() => this.#untilStopped(look));
  }

  async turn(): Promise<void> {
    await this.base.turn();
    this.signal.throwIfAborted();
  }

  log(text: string): void {
    this.base.log(text);
  }

  alert(level: string, text: string): void {
    this.base.alert(level, text);
  }

  /** Releases the guest at once when the run is stopped, even while look() is still busy. */
  async #untilStopped<Result>(look: () => Result | Promise<Result>): Promise<Result> {
    this.stop.throwIfAborted();
    const looked = Promise.resolve(look());
    return new Promise((resolve, reject) => {
      const onStop = () => reject(this.stop.reason as Error);
      this.stop.addEventListener("abort", onStop, { once: true });
      looked.then(resolve, reject).finally(() => this.stop.removeEventListener("abort", onStop));
    });
  }
}
