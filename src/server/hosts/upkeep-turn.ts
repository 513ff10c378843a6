/** Between two looks at what nobody makes any more, in milliseconds. */
const LEAST_MS = 2_500;
/** In a short lease more often: where nobody has looked for half of one, none is ended. */
const LOOKS_PER_LEASE = 8;
/** For each member that looks: together they do so no more than twice a second. */
const PER_MEMBER_MS = 500;

/** The turn of a member of a cluster to end what was given up: of many, few need to look, and each look costs the database something. */
export class UpkeepTurn {
  #dueMs = 0;

  /**
   * Returns whether it is this one's turn now; then the next is later.
   *
   * @param members how many look
   * @param leaseS of the cluster, in seconds
   * @param nowMs as performance.now()
   */
  take(members: number, leaseS: number, nowMs = performance.now()): boolean {
    if (nowMs < this.#dueMs) return false;
    const leastMs = Math.min(LEAST_MS, (leaseS * 1_000) / LOOKS_PER_LEASE);
    // At random, so that they do not look all at once.
    this.#dueMs = nowMs + Math.max(leastMs, (members - 1) * PER_MEMBER_MS) * (0.5 + Math.random());
    return true;
  }
}
