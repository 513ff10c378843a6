/** How long a search may run before it yields to other work, and to the guest. */
const TURN_MS = 4;

/** Yields now and then: the thread that reads the guest also executes it. */
export class Turn {
  #began = performance.now();

  /**
   * Ends this turn when it was long enough.
   *
   * @throws the signal's reason when it was aborted
   */
  async pass(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (performance.now() - this.#began < TURN_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#began = performance.now();
    signal?.throwIfAborted();
  }
}
