import { EVERYBODY, type WaitingSubmitter } from "../fair-shares";
import type { Statements } from "./cluster-database";

/** Lists whose analyses wait in a queue. The index is asked for one after the other: of ten thousand analyses none is read. */
export async function listWaiting(own: Statements, queue: string): Promise<WaitingSubmitter[]> {
  const waiting = "queue = $1 AND outcome IS NULL AND phase = 'queued'";
  return own.query<WaitingSubmitter>(
    `WITH RECURSIVE names AS (
       (SELECT submitter AS name FROM rebox.analyses WHERE ${waiting} ORDER BY submitter LIMIT 1)
       UNION ALL
       SELECT (SELECT submitter FROM rebox.analyses WHERE ${waiting} AND submitter > names.name ORDER BY submitter LIMIT 1) FROM names WHERE names.name IS NOT NULL
     )
     SELECT names.name, best.priority, turn::float8 AS taken,
       (SELECT count(*)::int FROM rebox.analyses WHERE submitter = names.name AND outcome IS NULL AND phase <> 'queued') AS running
     FROM names LEFT JOIN rebox.submitters ON submitters.name = names.name,
       LATERAL (SELECT priority FROM rebox.analyses WHERE ${waiting} AND submitter = names.name AND not_before <= now() ORDER BY priority DESC LIMIT 1) AS best`,
    [queue],
  );
}

/**
 * Notes that somebody has the turn, once nobody else takes an analysis of the same submitter at this moment.
 *
 * @returns false when as many run as the quota permits
 */
export async function takeTurn(own: Statements, name: string): Promise<boolean> {
  await own.query(
    "INSERT INTO rebox.submitters (name, turn) VALUES ($1, nextval('rebox.turns')) ON CONFLICT (name) DO UPDATE SET turn = nextval('rebox.turns')",
    [name],
  );
  const rows = await own.query(
    `SELECT 1 WHERE coalesce((SELECT most_running FROM rebox.submitters WHERE name = $1), (SELECT most_running FROM rebox.submitters WHERE name = $2), 2147483647)
       > (SELECT count(*) FROM rebox.analyses WHERE submitter = $1 AND outcome IS NULL AND phase <> 'queued')`,
    [name, EVERYBODY],
  );
  return rows.length > 0;
}
