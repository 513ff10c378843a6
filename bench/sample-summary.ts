/**
 * Returns the middle of the samples, or the mean of the two middle ones.
 *
 * @throws RangeError without samples
 */
export function getMedian(samples: readonly number[]): number {
  if (samples.length === 0) {
    throw new RangeError("there is no median of no samples");
  }
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/**
 * Returns the smallest sample that at least a share of all samples does not exceed.
 *
 * @param share above 0, at most 1: 0.99 for the 99th percentile
 * @throws RangeError without samples
 */
export function getPercentile(samples: readonly number[], share: number): number {
  if (samples.length === 0) {
    throw new RangeError("there is no percentile of no samples");
  }
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] as number;
}
