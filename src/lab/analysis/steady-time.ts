import { type Moment, readMonotonicMs } from "../../config/moment";

/**
 * Returns the time as ISO 8601, UTC. The clock of a host may be set while an analysis runs; what this process writes down goes on from
 * the time of its start all the same, so that differences are durations and the order of times is that of the events.
 *
 * @param moment of this process or another one of this host; now without it
 */
export function getSteadyTime(moment?: Moment): string {
  const monotonicMs = moment?.monotonicMs ?? readMonotonicMs();
  return new Date(performance.timeOrigin + (monotonicMs - getOriginMs())).toISOString();
}

let originMs: number | undefined;

/** The monotonic time of this process' start, in milliseconds. */
function getOriginMs(): number {
  return (originMs ??= readMonotonicMs() - performance.now());
}
