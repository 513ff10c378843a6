/** Keeps callbacks waiting, and the guest with them, until a shell lets the guest go. Holds that overlap end together. */
export class ShellHold {
  #release: (() => void) | undefined;
  #cpuIndex = 0;

  /**
   * Makes a hold of nothing.
   *
   * @param onChange is called when the guest is held, with the vCPU of the event, and when it is let go
   */
  constructor(private readonly onChange: (release: (() => void) | undefined, cpuIndex: number) => void) {}

  /** Lets the guest go; undefined while nothing is held. */
  get release(): (() => void) | undefined {
    return this.#release;
  }

  /** The vCPU of the event that was held last. */
  get cpuIndex(): number {
    return this.#cpuIndex;
  }

  /**
   * Holds the guest.
   *
   * @param cpuIndex the vCPU of the event
   * @returns when it is let go
   */
  hold(cpuIndex: number): Promise<void> {
    this.#cpuIndex = cpuIndex;
    return new Promise((resolve) => {
      const previous = this.#release;
      this.#release = () => {
        this.#release = undefined;
        this.onChange(undefined, cpuIndex);
        previous?.();
        resolve();
      };
      this.onChange(this.#release, cpuIndex);
    });
  }
}
