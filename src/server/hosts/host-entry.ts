import { freemem, loadavg, totalmem } from "node:os";
import { statfsSync } from "node:fs";
import type { Cluster } from "../../lab/cluster/open-cluster";
import { ClusterError } from "../../lab/errors";

/** The work of a host: it takes analyses from the queue, has them made, and sends their results. */
export type HostState = "working" | "ending";

/** A host as the cluster knows it. */
export interface SeenHost {
  readonly name: string;
  readonly lab: string;
  readonly version: string;
  readonly state: HostState | "away";
  readonly isDraining: boolean;
  readonly machines: readonly string[];
  readonly load: HostLoad;
  /** By the clock of the database. */
  readonly seen: Date;
}

/** How busy a host is. */
export interface HostLoad {
  /** The analyses that it makes. */
  readonly analyses: number;
  /** The mean number of processes that want a processor, over a minute. */
  readonly processes: number;
  /** In bytes. */
  readonly freeMemory: number;
  readonly memory: number;
  readonly freeDisk: number;
}

/** The row of a host, by which the cluster sees it. */
export class HostEntry {
  /** Somebody has asked it to take no more work. */
  isDraining = false;

  constructor(
    private readonly cluster: Pick<Cluster, "database" | "lab" | "leaseS">,
    private readonly host: { readonly name: string; readonly labFolder: string; readonly version: string },
    private readonly listMachines: () => readonly string[],
  ) {}

  /** Tells that the host is there. @throws ClusterError when another one has its name */
  async tell(state: HostState, analyses: number, queues: readonly string[]): Promise<void> {
    const { name, labFolder, version } = this.host;
    const { database, lab, leaseS } = this.cluster;
    const { bavail, bsize } = statfsSync(labFolder);
    const load: HostLoad = { analyses, processes: loadavg()[0]!, freeMemory: freemem(), memory: totalmem(), freeDisk: bavail * bsize }; // prettier-ignore
    const rows = await database.query<{ is_draining: boolean }>(
      `INSERT INTO rebox.hosts (name, lab, version, state, machines, load, queues) VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (name) DO UPDATE SET lab = $2, version = $3, state = $4, machines = $5, load = $6, queues = $7, seen = now()
         WHERE hosts.lab = $2 OR hosts.seen < now() - make_interval(secs => $8)
       RETURNING is_draining`,
      [name, lab, version, state, JSON.stringify(this.listMachines()), JSON.stringify(load), queues, leaseS],
    );
    if (rows.length === 0) throw new ClusterError(`another host of the cluster is called ${name}; choose another name by --name`); // prettier-ignore
    this.isDraining = rows[0]!.is_draining;
  }

  /** Takes the host from the list. */
  async leave(): Promise<void> {
    const { database, lab } = this.cluster;
    await database.query("DELETE FROM rebox.hosts WHERE name = $1 AND lab = $2", [this.host.name, lab]);
  }
}

/** Lists the hosts of a cluster by name. */
export async function listHosts({ database, leaseS }: Pick<Cluster, "database" | "leaseS">): Promise<SeenHost[]> {
  const rows = await database.query<SeenHost & { is_away: boolean }>(
    `SELECT name, lab, version, state, is_draining AS "isDraining", machines, load, seen,
       seen < now() - make_interval(secs => $1) AS is_away FROM rebox.hosts ORDER BY name`,
    [leaseS],
  );
  return rows.map(({ is_away, state, ...row }) => ({ ...row, state: is_away ? "away" : state }));
}

/** Asks a host to take no more work, or to take some again. @throws ClusterError when there is none of that name */
export async function setDraining(cluster: Cluster, name: string, isDraining: boolean): Promise<void> {
  const rows = await cluster.database.query("UPDATE rebox.hosts SET is_draining = $2 WHERE name = $1 RETURNING name", [name, isDraining]); // prettier-ignore
  if (rows.length > 0) return;
  const known = (await listHosts(cluster)).map((host) => host.name).join(", ") || "none";
  throw new ClusterError(`the cluster has no host ${name}; there is ${known}`);
}
