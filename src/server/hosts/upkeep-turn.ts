/** Between two looks at what nobody makes any more, in milliseconds. */
const LEAST_MS = 2_500;
/** In a short lease more often: where nobody has looked for half of one, none is ended. */
const LOOKS_PER_LEASE = 8;
/** For each member that looks: together they do so no more than twice a second. */
const PER_MEMBER_MS = 500;

/** The turn of a member of a cluster to end what was given up: of many, few need to look, and each look costs the database something. */
export class UpkeepTurn {
  #lookedMs = -Infinity;
  /** At random, so that they do not look all at once. */
  #share = 1;

  /**
   * Returns whether it is this one's turn now; the next one is later.
   *
   * @param members how many look
   * @param leaseS of the cluster, in seconds
   * @param nowMs as performance.now()
   */
  take(members: number, leaseS: number, nowMs = performance.now()): boolean {
    const leastMs = Math.min(LEAST_MS, (leaseS * 1_000) / LOOKS_PER_LEASE);
    // Of the members that there are now: who is left of many looks as often as one that was alone.
    if (nowMs - this.#lookedMs < Math.max(leastMs, (members - 1) * PER_MEMBER_MS) * this.#share) return false;
    this.#lookedMs = nowMs;
    this.#share = 0.5 + Math.random();
    return true;
  }
}
