/**
 * The bytes that may be read while the guest is held: many at once, and few all the time, so that no guest has them read without end.
 */
export class ByteBudget {
  #left: number;
  #atMs: number;

  /**
   * @param most the bytes that may be read at once
   * @param perSecond so many come back in a second, up to `most`
   * @param readNowMs the host's steady clock, in milliseconds
   */
  constructor(
    private readonly most: number,
    private readonly perSecond: number,
    private readonly readNowMs: () => number = () => performance.now(),
  ) {
    this.#left = most;
    this.#atMs = readNowMs();
  }

  /** Returns whether so many bytes are there. */
  has(bytes: number): boolean {
    const nowMs = this.readNowMs();
    this.#left = Math.min(this.most, this.#left + ((nowMs - this.#atMs) * this.perSecond) / 1000);
    this.#atMs = nowMs;
    return bytes <= this.#left;
  }

  /** Takes bytes out of the budget. @returns whether they were there; else none is taken */
  take(bytes: number): boolean {
    if (!this.has(bytes)) return false;
    this.#left -= bytes;
    return true;
  }

  /** Says how much it is, for people. */
  toString(): string {
    const inMiB = (bytes: number): string => `${Math.round((bytes / (1 << 20)) * 10) / 10} MiB`;
    return `${inMiB(this.most)} at once, and ${inMiB(this.perSecond)} in each second`;
  }
}
