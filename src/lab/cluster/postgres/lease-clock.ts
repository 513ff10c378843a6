import type { Statements } from "./cluster-database";

/** So far ahead of the clock the last look may be, in seconds: it is set by a moment now and then. */
const AHEAD_S = 1;

/**
 * Notes that somebody looks at the leases, and says whether those that are over may be ended. Where nobody has looked for half a lease, the database
 * was away, stood still, or had its clock set on; where the last look is still to come, its clock was set back. Then nobody is to blame for a lease that
 * is over, and all have the time of one to renew theirs.
 *
 * @param leaseS in seconds
 */
export async function mayEndLeases(own: Statements, leaseS: number): Promise<boolean> {
  const [row] = await own.query<{ may_end: boolean }>(
    `UPDATE rebox.cluster SET looked = clock_timestamp(), ends_from = CASE
       WHEN looked BETWEEN clock_timestamp() - make_interval(secs => $1::float8 / 2) AND clock_timestamp() + make_interval(secs => $2::float8) THEN ends_from
       ELSE clock_timestamp() + make_interval(secs => $1::float8) END
     RETURNING ends_from <= clock_timestamp() AS may_end`,
    [leaseS, AHEAD_S],
  );
  return row!.may_end;
}

/**
 * Takes times that are still to come for the present one: the clock was set back since. pg-boss gives no job out that is to be tried again, ends no
 * lease and counts nothing before its time.
 */
export async function bringTimesBack(own: Statements): Promise<void> {
  await own.query(
    `UPDATE rebox.analyses SET beat = now() WHERE outcome IS NULL AND phase <> 'queued' AND beat > now();
     UPDATE rebox.hosts SET seen = now() WHERE seen > now();
     UPDATE pgboss.job SET start_after = now() WHERE state = 'retry' AND start_after > now();
     UPDATE pgboss.job SET heartbeat_on = now() WHERE state = 'active' AND heartbeat_on > now();
     UPDATE pgboss.queue SET monitor_claim_on = NULL, monitor_on = NULL, maintain_on = NULL
       WHERE greatest(monitor_claim_on, monitor_on, maintain_on) > now();`,
  );
}
