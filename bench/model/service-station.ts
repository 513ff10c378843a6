/** Something with a number of servers that work in the order of arrival: the processors of a database, a network. */
export class ServiceStation {
  readonly #freeAt: number[];
  #busyS = 0;
  #awayUntil = 0;

  /** @param servers how many work at once */
  constructor(private readonly servers: number) {
    this.#freeAt = Array.from({ length: servers }, () => 0);
  }

  /**
   * Serves a request.
   *
   * @param now in seconds
   * @param workS the time that a server takes for it, in seconds
   * @returns the moment at which it is done
   */
  serve(now: number, workS: number): number {
    let first = 0;
    for (let at = 1; at < this.#freeAt.length; at++) if (this.#freeAt[at]! < this.#freeAt[first]!) first = at;
    const begin = Math.max(now, this.#freeAt[first]!, this.#awayUntil);
    this.#busyS += workS;
    return (this.#freeAt[first] = begin + workS);
  }

  /** Takes it away: requests wait until it is back. */
  goAway(untilS: number): void {
    this.#awayUntil = untilS;
  }

  /** How busy its servers were, from 0 to 1. */
  getUse(overS: number): number {
    return this.#busyS / (overS * this.servers);
  }
}
