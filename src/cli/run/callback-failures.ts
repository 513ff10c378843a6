import type { CallbackFailure } from "./engine-port";

/** Counts what goes wrong in callbacks, so that a callback that throws a million times is printed once. */
export class CallbackFailures {
  private readonly counts = new Map<string, number>();

  /**
   * Counts one failure.
   *
   * @returns true when it is worth printing: the callback's first one, or the one that got it removed
   */
  add(failure: CallbackFailure): boolean {
    const key = `${failure.callback} of ${failure.script}`;
    const before = this.counts.get(key) ?? 0;
    // The engine may report only some of a storm of failures; its own count is the true one then.
    this.counts.set(key, Math.max(before + 1, failure.count));
    return before === 0 || failure.removed;
  }

  /** How many failures there were in all. */
  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Returns one line for each callback that failed, the most often failing one first. */
  describe(): string[] {
    const sorted = [...this.counts].sort(([, a], [, b]) => b - a);
    return sorted.map(([key, count]) => `${key} failed ${count} time${count === 1 ? "" : "s"}`);
  }
}
