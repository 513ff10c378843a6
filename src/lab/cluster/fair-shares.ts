/** The name of the quota of those that have none of their own. */
export const EVERYBODY = "*";

/** The most analyses that somebody's may run in a cluster at once. */
export interface Quota {
  /** A user of a server, or a lab, where its commands have asked; EVERYBODY for all others. */
  readonly submitter: string;
  /** Undefined takes the quota away. */
  readonly mostRunning: number | undefined;
}

/** Somebody whose analyses wait for a machine. */
export interface WaitingSubmitter {
  readonly name: string;
  /** The highest of the analyses that wait. */
  readonly priority: number;
  /** The analyses that run, in the whole cluster. */
  readonly running: number;
  /** Grows with each analysis that is taken from anybody: the last one's of this submitter; null before the first. */
  readonly taken: number | null;
}

/**
 * Orders those whose analyses wait by whose turn it is: a higher priority first, then those with the fewest that run, then those who have
 * waited longest since one of theirs was taken. Who has as many as the quota permits is left out.
 *
 * @returns their names
 */
export function orderSubmitters(waiting: readonly WaitingSubmitter[], quotas: readonly Quota[]): string[] {
  const limits = new Map(quotas.map(({ submitter, mostRunning }) => [submitter, mostRunning]));
  const limitOf = (name: string) => limits.get(name) ?? limits.get(EVERYBODY) ?? Infinity;
  return waiting
    .filter(({ name, running }) => running < limitOf(name))
    .toSorted(
      (one, other) =>
        other.priority - one.priority || one.running - other.running || (one.taken ?? 0) - (other.taken ?? 0),
    ) // prettier-ignore
    .map(({ name }) => name);
}
