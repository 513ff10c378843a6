/** The work of a host that goes on beside its loop, and what is wrong with it. */
export class HostWorks {
  readonly #running = new Set<Promise<void>>();
  readonly #troubles = new Map<string, string>();

  /** @param log for people */
  constructor(private readonly log: (text: string) => void) {}

  get isIdle(): boolean {
    return this.#running.size === 0;
  }

  /** Begins some work, and waits for nothing. @param what for people */
  begin(what: string, act: () => Promise<unknown>): void {
    const work = this.try(what, act).finally(() => this.#running.delete(work));
    this.#running.add(work);
  }

  /** Waits until no work goes on. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }

  /**
   * Does something. A trouble that stays is told once: the cluster may be away for a while.
   *
   * @param act answers false when it has not tried
   */
  async try(what: string, act: () => Promise<unknown>): Promise<void> {
    try {
      const hasTried = (await act()) !== false;
      if (hasTried && this.#troubles.delete(what)) this.log(`${what}: all is well again`);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (this.#troubles.get(what) !== text) this.log(`${what}: ${text}`);
      this.#troubles.set(what, text);
    }
  }
}
