/**
 * Returns the time as ISO 8601, UTC. The clock of a host may be set while an analysis runs; what this process writes down goes on from
 * the time of its start all the same, so that differences are durations and the order of times is that of the events.
 */
export function getSteadyTime(): string {
  return new Date(performance.timeOrigin + performance.now()).toISOString();
}
