import type { InvestigationContext, Vantage } from "./investigation-context";
import type { LinuxGuest } from "../systems/linux/linux-guest";

/** A context whose signal has one more reason: a stop message that the run itself has read. */
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

  /** Lets go of the guest at once when the run is stopped, whatever look() still does. */
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
