import { nameQueue, type Requirement } from "../requirement";
import { ClusterDatabase } from "./cluster-database";

/** The queue of jobs that were given up. */
export const DEAD = "rebox-dead";
/** Attempts beside the first. */
const RETRIES = 2;
/**
 * How long jobs may wait after the moment from which they may be taken before pg-boss forgets them, in seconds: they are ended by people and
 * hosts, not by age. PostgreSQL's integers permit 68 years.
 */
export const RETENTION_S = 60 * 365 * 86_400;
/** How long pg-boss keeps jobs that have ended, in seconds: their rows are kept apart, and it counts its own again and again. */
const KEPT_S = 3_600;
/** Queues of new kinds are noticed so late at most where a message was missed, in milliseconds. */
const FRESH_MS = 30_000;

/** A queue of pg-boss: analyses that require the same wait in one. */
export interface QueueKind {
  readonly name: string;
  readonly requirement: Requirement;
}

/** The queues of a cluster, one for each requirement that analyses have had. */
export class QueueKinds {
  #known: { readonly untilMs: number; readonly list: readonly QueueKind[] } | undefined;
  /** Grows with each word of a new queue: an answer to what was asked before may lack it. */
  #changes = 0;

  /** @param leaseS how long an attempt without a heartbeat has its analysis, in seconds */
  constructor(
    private readonly database: ClusterDatabase,
    private readonly leaseS: number,
  ) {
    database.listen((payload) => {
      if (payload === "" || payload === "queues") this.#forget();
    });
  }

  /** Makes the queue of those that were given up, in a new cluster. */
  async prepare(): Promise<void> {
    await this.database.boss.createQueue(DEAD, { retentionSeconds: RETENTION_S });
  }

  async list(): Promise<readonly QueueKind[]> {
    if (this.#known !== undefined && performance.now() <= this.#known.untilMs) return this.#known.list;
    const changes = this.#changes;
    const list = await this.database.query<{ name: string; requirement: Requirement }>("SELECT name, requirement FROM rebox.queues ORDER BY name"); // prettier-ignore
    if (changes === this.#changes) this.#known = { untilMs: performance.now() + FRESH_MS, list };
    return list;
  }

  #forget(): void {
    this.#known = undefined;
    this.#changes++;
  }

  /** Makes the queue of a requirement, unless it is there. @returns its name */
  async make(requirement: Requirement): Promise<string> {
    const name = nameQueue(requirement);
    if ((await this.list()).some((queue) => queue.name === name)) return name;
    await this.database.boss.createQueue(name, {
      ...{ retryLimit: RETRIES, heartbeatSeconds: this.leaseS, deadLetter: DEAD },
      ...{ retentionSeconds: RETENTION_S, deleteAfterSeconds: KEPT_S },
    });
    await this.database.query("INSERT INTO rebox.queues VALUES ($1, $2) ON CONFLICT DO NOTHING", [name, requirement]);
    this.#forget();
    await ClusterDatabase.notify(this.database, "queues");
    return name;
  }
}
