import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client, Pool, PoolClient, QueryResultRow } from "pg";
import type { PgBoss } from "pg-boss" with { "resolution-mode": "import" };
import { ClusterError } from "../../errors";
import { findTableProblem, MIGRATIONS } from "./cluster-schema";

/** Connections of one process, besides the one that listens: a thousand hosts need 2,000 at most, and most are idle. */
const MOST_CONNECTIONS = 2;
const CONNECT_LIMIT_MS = 10_000;
/** A query whose answer does not come: the network may be cut, or the server gone without a word. Longer than any, but those that make tables. */
const QUERY_LIMIT_MS = 120_000;
/** A connection on which nothing comes is asked for a sign of life after so long, in milliseconds. */
const ALIVE_MS = 15_000;
/** Between two attempts to listen again, in milliseconds. */
const AGAIN_MS = 2_000;
/** pg-boss's looks at leases, and its removal of jobs that have ended, in seconds at least: it is asked to look by those who need it. */
const UPKEEP = { monitorIntervalSeconds: 2, maintenanceIntervalSeconds: 600 };
/** The channel by which hosts and labs wake each other, and the one for ends, of which no host wants to hear: there are many hosts. */
const CHANNEL = "rebox";
const ENDS_CHANNEL = "rebox_ends";
/** The lock of the database that changes of its tables are made under. */
const MIGRATION_LOCK = 7_236_249;

/** Runs statements, in a transaction or without. */
export interface Statements {
  query<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** The database of a cluster: pg-boss's queues, and rebox's own tables beside them. */
export class ClusterDatabase implements Statements {
  #listener: Client | undefined;
  #isClosed = false;
  #hearsEnds = false;
  readonly #wakings = new Set<(payload: string) => void>();

  private constructor(
    private readonly pool: Pool,
    private readonly url: string,
    /** The queues. */
    readonly boss: PgBoss,
    private readonly connect: () => Client,
  ) {}

  /**
   * Connects to the database of a cluster.
   *
   * @param makes whether its tables are made, or brought up to date
   * @param log for people: troubles that pass
   * @throws ClusterError when it cannot be reached, refuses the user, or is of another version
   */
  static async open(url: string, makes: boolean, log: (text: string) => void): Promise<ClusterDatabase> {
    const pg = await import("pg");
    const { PgBoss: Boss } = await import("pg-boss");
    const reach = { connectionString: url, connectionTimeoutMillis: CONNECT_LIMIT_MS, keepAlive: true, keepAliveInitialDelayMillis: ALIVE_MS }; // prettier-ignore
    const pool = new pg.default.Pool({ ...reach, max: MOST_CONNECTIONS, application_name: "rebox", ...(makes ? {} : { query_timeout: QUERY_LIMIT_MS }) }); // prettier-ignore
    // A connection that waits in the pool breaks when the server ends: the next query says so.
    pool.on("error", () => undefined);
    // As it is: pg answers several statements by a list, which pg-boss reads.
    const executeSql = (text: string, values?: unknown[]) => pool.query(text, values);
    const boss = new Boss({ db: { executeSql }, schema: "pgboss", schedule: false, migrate: makes, supervise: false, ...UPKEEP }); // prettier-ignore
    boss.on("error", (error) => log(`the queue: ${error.message}`));
    const connect = () => new pg.default.Client({ ...reach, application_name: "rebox listens" });
    const database = new ClusterDatabase(pool, url, boss, connect);
    try {
      if (makes) await database.#migrate();
      await database.#checkVersion();
      await boss.start();
    } catch (error) {
      await database.close();
      throw error instanceof ClusterError ? error : new ClusterError(`the database of the cluster (${hidePassword(url)}): ${describe(error)}`); // prettier-ignore
    }
    return database;
  }

  async query<Row extends QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.pool.query<Row>(text, [...values])).rows;
  }

  /** Runs statements that take effect together or not at all. */
  async transact<Result>(act: (statements: Statements, db: BossConnection) => Promise<Result>): Promise<Result> {
    const client = await this.pool.connect();
    // One that breaks in the middle is reported by its query; without a listener it would end the process.
    const onError = () => undefined;
    client.on("error", onError);
    let broken: Error | undefined;
    try {
      await client.query("BEGIN");
      const result = await act(new ClientStatements(client), {
        executeSql: (text, values) => client.query(text, values),
      });
      await client.query(result === undefined ? "ROLLBACK" : "COMMIT");
      return result;
    } catch (error) {
      broken = error as Error;
      await client.query("ROLLBACK").then(
        () => (broken = undefined),
        () => undefined,
      );
      throw error;
    } finally {
      client.off("error", onError);
      client.release(broken);
    }
  }

  /**
   * Calls back for each message of another process, and after a gap in which some may have been missed.
   *
   * @param hearsEnds whether also for the ends of analyses
   */
  listen(onMessage: (payload: string) => void, hearsEnds = false): void {
    this.#wakings.add(onMessage);
    if (hearsEnds && !this.#hearsEnds) {
      this.#hearsEnds = true;
      void this.#listener?.query(`LISTEN ${ENDS_CHANNEL}`).catch(() => undefined);
    }
    if (this.#wakings.size === 1) void this.#keepListening();
  }

  /** Wakes the others; with the transaction, when that takes effect. */
  static async notify(statements: Statements, payload: string): Promise<void> {
    await statements.query("SELECT pg_notify($1, $2)", [payload === "ended" ? ENDS_CHANNEL : CHANNEL, payload]);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#listener?.end().catch(() => undefined);
    await this.boss.stop({ graceful: false }).catch(() => undefined);
    await this.pool.end().catch(() => undefined);
  }

  async #keepListening(): Promise<void> {
    while (!this.#isClosed) {
      const client = this.connect();
      const broken = new Promise<void>((resolve) => {
        client.once("error", () => resolve());
        client.once("end", () => resolve());
      });
      client.on("notification", ({ payload = "" }) => this.#tell(payload));
      try {
        await client.connect();
        this.#listener = client;
        await client.query(`LISTEN ${CHANNEL}`);
        if (this.#hearsEnds) await client.query(`LISTEN ${ENDS_CHANNEL}`);
        this.#tell("");
        await broken;
      } catch {
        // The queries of others report it.
      }
      await client.end().catch(() => undefined);
      if (!this.#isClosed) await sleep(AGAIN_MS, undefined, { ref: false });
    }
  }

  #tell(payload: string): void {
    for (const waking of this.#wakings) waking(payload);
  }

  async #migrate(): Promise<void> {
    await this.transact(async (own) => {
      await own.query("SELECT pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
      await own.query("CREATE SCHEMA IF NOT EXISTS rebox");
      await own.query("CREATE TABLE IF NOT EXISTS rebox.cluster (id uuid NOT NULL, version int NOT NULL)");
      const [row] = await own.query<{ version: number }>("SELECT version FROM rebox.cluster");
      if (row === undefined) await own.query("INSERT INTO rebox.cluster VALUES ($1, 0)", [randomUUID()]);
      for (const statement of MIGRATIONS.slice(row?.version ?? 0)) await own.query(statement);
      await own.query("UPDATE rebox.cluster SET version = greatest(version, $1)", [MIGRATIONS.length]);
      return true;
    });
  }

  async #checkVersion(): Promise<void> {
    const [{ there } = { there: false }] = await this.query<{ there: boolean }>("SELECT to_regclass('rebox.cluster') IS NOT NULL AS there"); // prettier-ignore
    if (!there) throw new ClusterError(`${hidePassword(this.url)} is no cluster of rebox; make it one: rebox lab init --cluster URL`); // prettier-ignore
    const { version } = (await this.query<{ version: number }>("SELECT version FROM rebox.cluster"))[0]!;
    const problem = findTableProblem(version);
    if (problem !== undefined) throw new ClusterError(problem);
  }

  /** Reads what holds for the whole cluster. */
  async readFacts(): Promise<ClusterFacts> {
    return (await this.query<ClusterFacts>(`SELECT id, lease_s AS "leaseS" FROM rebox.cluster`))[0]!;
  }
}

/** The facts of a cluster. */
export interface ClusterFacts {
  /** The name that it was given when it was made. */
  readonly id: string;
  /** An attempt without a heartbeat has its analysis so long, in seconds. */
  readonly leaseS: number;
}

/** A connection as pg-boss wants it. */
export interface BossConnection {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- pg-boss's own type
  executeSql(text: string, values?: unknown[]): Promise<{ rows: any[] }>;
}

class ClientStatements implements Statements {
  constructor(private readonly client: PoolClient) {}

  async query<Row extends QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.client.query<Row>(text, [...values])).rows;
  }
}

/** Returns an address without its password, for messages. */
export function hidePassword(url: string): string {
  return url.replace(/^(\w+:\/\/[^:@/]*):[^@]*@/, "$1@");
}

/** A connection that is refused has its reasons in a list. */
function describe(error: unknown): string {
  const { message, errors } = error as { message?: string; errors?: readonly Error[] };
  return message || (errors ?? []).map((each) => each.message).join("; ") || String(error);
}
