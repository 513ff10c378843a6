import { ClusterError } from "../../errors";
import { explainReplaced, type HostList, type HostOrders, type HostReport, type LivePlace, type SeenHost } from "../host-list"; // prettier-ignore
import type { ClusterDatabase } from "./cluster-database";
import { findTableProblem } from "./cluster-schema";

/** The hosts of a cluster, each a row that it renews. */
export class PostgresHosts implements HostList {
  /** @param leaseS after so long without a word a host is away, in seconds */
  constructor(
    private readonly database: ClusterDatabase,
    private readonly leaseS: number,
  ) {}

  async tell({
    name,
    lab,
    process,
    joins,
    version,
    state,
    machines,
    load,
    queues,
    live,
  }: HostReport): Promise<HostOrders> {
    const rows = await this.database.query<{ is_draining: boolean; hosts: number; version: number }>(
      `INSERT INTO rebox.hosts (name, lab, version, state, machines, load, queues, live, process) VALUES ($1, $2, $3, $4, $5, $6, $7, $9, $10)
       ON CONFLICT (name) DO UPDATE SET lab = $2, version = $3, state = $4, machines = $5, load = $6, queues = $7, live = $9, process = $10, seen = now()
         WHERE (hosts.lab = $2 AND ($11 OR hosts.process IS NULL OR hosts.process = $10)) OR hosts.seen < now() - make_interval(secs => $8)
       RETURNING is_draining, 1 + (SELECT count(*)::int FROM rebox.hosts AS other WHERE other.name <> $1 AND other.seen > now() - make_interval(secs => $8)) AS hosts,
         (SELECT version FROM rebox.cluster) AS version`,
      [
        name,
        lab,
        version,
        state,
        JSON.stringify(machines),
        JSON.stringify(load),
        queues,
        this.leaseS,
        live === undefined ? null : JSON.stringify(live),
        process,
        joins,
      ],
    );
    if (rows.length === 0 && !joins) return { isDraining: true, hosts: 1, refusal: explainReplaced(name) };
    if (rows.length === 0) throw new ClusterError(`another host of the cluster is called ${name}; choose another name by --name`); // prettier-ignore
    const { is_draining: isDraining, hosts, version: tables } = rows[0]!;
    return { isDraining, hosts, refusal: findTableProblem(tables) };
  }

  async leave({ name, lab, process }: Pick<HostReport, "name" | "lab" | "process">): Promise<void> {
    await this.database.query("DELETE FROM rebox.hosts WHERE name = $1 AND lab = $2 AND process = $3", [name, lab, process]); // prettier-ignore
  }

  async list(): Promise<SeenHost[]> {
    const rows = await this.database.query<SeenHost & { is_away: boolean }>(
      `SELECT name, lab, version, state, is_draining AS "isDraining", machines, load, seen,
         seen < now() - make_interval(secs => $1) AS is_away FROM rebox.hosts ORDER BY name`,
      [this.leaseS],
    );
    return rows.map(({ is_away, state, ...row }) => ({ ...row, state: is_away ? "away" : state }));
  }

  async findLive(name: string): Promise<LivePlace | undefined> {
    const rows = await this.database.query<{ live: LivePlace | null }>("SELECT live FROM rebox.hosts WHERE name = $1 AND seen > now() - make_interval(secs => $2)", [name, this.leaseS]); // prettier-ignore
    return rows[0]?.live ?? undefined;
  }

  async setDraining(name: string, isDraining: boolean): Promise<void> {
    const rows = await this.database.query("UPDATE rebox.hosts SET is_draining = $2 WHERE name = $1 RETURNING name", [name, isDraining]); // prettier-ignore
    if (rows.length > 0) return;
    const known = (await this.list()).map((host) => host.name).join(", ") || "none";
    throw new ClusterError(`the cluster has no host ${name}; there is ${known}`);
  }
}
