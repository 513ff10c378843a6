/** Between two looks at what nobody makes any more, in milliseconds. */
const LEAST_MS = 2_500;
/** For each member that looks: together they do so no more than twice a second. */
const PER_MEMBER_MS = 500;

/** The turn of a member of a cluster to end what was given up: of many, few need to look, and each look costs the database something. */
export class UpkeepTurn {
  #dueMs = 0;

  /** Returns whether it is this one's turn now; then the next is later. @param members how many look */
  take(members: number): boolean {
    const nowMs = performance.now();
    if (nowMs < this.#dueMs) return false;
    // At random, so that they do not look all at once.
    this.#dueMs = nowMs + Math.max(LEAST_MS, members * PER_MEMBER_MS) * (0.5 + Math.random());
    return true;
  }
}
