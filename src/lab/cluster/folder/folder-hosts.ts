import { readMonotonicMs } from "../../../config/moment";
import { ClusterError } from "../../errors";
import { explainReplaced, type HostList, type HostOrders, type HostReport, type LivePlace, type SeenHost } from "../host-list"; // prettier-ignore
import type { FolderDatabase } from "./folder-database";
import { findTableProblem } from "./folder-schema";

interface Row {
  readonly lab: string;
  readonly report: string;
  readonly is_draining: number;
  readonly seen_ms: number;
}

/** Returns whether a word comes from the host that the row is of: its process, or the next one of its lab. */
function isSame({ lab, report: text }: Row, report: HostReport): boolean {
  const { process } = JSON.parse(text) as Partial<HostReport>;
  return lab === report.lab && (report.joins || process === undefined || process === report.process);
}

/** The hosts of a cluster that is a folder: processes of one host, each with a lab of its own. */
export class FolderHosts implements HostList {
  constructor(private readonly database: FolderDatabase) {}

  async tell(report: HostReport): Promise<HostOrders> {
    const { database } = this;
    return database.transact(() => {
      const [known] = database.select<Row>("SELECT * FROM hosts WHERE name = ?", report.name);
      if (known !== undefined && !this.#isAway(known) && !isSame(known, report)) {
        if (!report.joins) return { isDraining: true, hosts: 1, refusal: explainReplaced(report.name) };
        throw new ClusterError(`another host of the cluster is called ${report.name}; choose another name by --name`);
      }
      const nowMs = readMonotonicMs();
      const values = [report.lab, JSON.stringify(report), nowMs];
      database.change(
        `INSERT INTO hosts (name, lab, report, seen_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET lab = ?, report = ?, seen_ms = ?`,
        ...[report.name, ...values, ...values],
      );
      const there = database.select<{ hosts: number }>("SELECT count(*) AS hosts FROM hosts WHERE seen_ms >= ?", nowMs - database.leaseS * 1_000); // prettier-ignore
      const [facts] = database.select<{ version: number }>("SELECT version FROM facts");
      const refusal = findTableProblem(database.folder, facts!.version);
      return { isDraining: known?.is_draining === 1, hosts: there[0]!.hosts, refusal };
    });
  }

  async leave({ name, lab, process }: Pick<HostReport, "name" | "lab" | "process">): Promise<void> {
    this.database.change("DELETE FROM hosts WHERE name = ? AND lab = ? AND json_extract(report, '$.process') = ?", name, lab, process); // prettier-ignore
  }

  async list(): Promise<SeenHost[]> {
    const nowMs = readMonotonicMs();
    return this.database.select<Row>("SELECT * FROM hosts ORDER BY name").map((row) => {
      const {
        queues: _queues,
        live: _live,
        process: _process,
        joins: _joins,
        state,
        ...report
      } = JSON.parse(row.report) as HostReport;
      return {
        ...report,
        ...{ state: this.#isAway(row) ? ("away" as const) : state, isDraining: row.is_draining === 1 },
        seen: new Date(Date.now() - (nowMs - row.seen_ms)),
      };
    });
  }

  async findLive(name: string): Promise<LivePlace | undefined> {
    const [row] = this.database.select<Row>("SELECT * FROM hosts WHERE name = ?", name);
    return row === undefined || this.#isAway(row) ? undefined : (JSON.parse(row.report) as HostReport).live;
  }

  async setDraining(name: string, isDraining: boolean): Promise<void> {
    if (this.database.change("UPDATE hosts SET is_draining = ? WHERE name = ?", Number(isDraining), name) > 0) return;
    const known = (await this.list()).map((host) => host.name).join(", ") || "none";
    throw new ClusterError(`the cluster has no host ${name}; there is ${known}`);
  }

  /** Returns whether another host than those that were tried could have analyses of a queue. */
  hasOther(queue: string, tried: readonly string[]): boolean {
    return this.database.select<Row>("SELECT * FROM hosts WHERE NOT is_draining").some((row) => {
      const { name, queues } = JSON.parse(row.report) as HostReport;
      return !this.#isAway(row) && queues.includes(queue) && !tried.includes(name);
    });
  }

  #isAway({ seen_ms }: Row): boolean {
    return readMonotonicMs() - seen_ms > this.database.leaseS * 1_000;
  }
}
