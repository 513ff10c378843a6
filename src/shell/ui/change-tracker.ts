import type { Moment } from "./pane";

/** Tells what has another value than when the guest stood still the last time. */
export class ChangeTracker {
  #before: ReadonlyMap<string, string> = new Map();
  #now: ReadonlyMap<string, string> = new Map();
  #stops = -1;
  #isRunning = false;

  /** Is told the values of a moment. Those of a running guest change all the time: they are compared with nothing. */
  update(values: ReadonlyMap<string, string>, { isRunning, stops }: Moment): void {
    this.#isRunning = isRunning;
    if (isRunning) return;
    if (stops !== this.#stops) {
      this.#before = this.#now;
      this.#stops = stops;
    }
    this.#now = values;
  }

  isChanged(name: string): boolean {
    if (this.#isRunning) return false;
    const before = this.#before.get(name);
    return before !== undefined && before !== this.#now.get(name);
  }
}
