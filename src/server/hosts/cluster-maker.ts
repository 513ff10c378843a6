import { existsSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { AnalysisDatabase, AnalysisEntry, AnalysisRequest } from "../../lab/analysis/analysis-database";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import { findHostProblem } from "../../lab/analysis/target/recorded-analysis";
import type { ServedQueue } from "../../lab/analysis/queue/served-queue";
import type { QueuedAnalysis } from "../../lab/cluster/analysis-queue";
import { type Cluster, openCluster } from "../../lab/cluster/open-cluster";
import { MachineryManagerError, MissingFileError, OtherAnalysisError, StoredFileError } from "../../lab/errors";
import { takeLock } from "../../lab/process-lock";
import { ConflictError, NotThereError } from "../errors";
import type { AnalysisMaker } from "../queue/dispatcher";
import { getResults, putContent, removeResults } from "./carry-files";
import { HandedIn } from "./handed-in";
import { HostWorks } from "./host-works";
import { UpkeepTurn } from "./upkeep-turn";

/** Between two looks at the cluster, in milliseconds; a message comes before that. */
const TICK_MS = 1_000;
/** Between two attempts to reach a cluster that is away, or to be the process that looks, in milliseconds. */
const AGAIN_MS = 3_000;

/** A lab whose analyses are made by hosts of its cluster. */
export interface ClusterLab {
  /** Absolute. */
  readonly labFolder: string;
  readonly database: AnalysisDatabase;
  readonly queue: ServedQueue;
  /** Adds the facts of analyses that have ended to the search. */
  index(): Promise<void>;
  log(text: string): void;
}

/**
 * Has the analyses of a lab made by the hosts of its cluster: hands them in, follows their phases, and collects the results into the lab's
 * folder, where everything finds them as if they had been made here. Of the processes of a lab one does this at a time; all is in the lab's
 * database, so any other one goes on where it was killed.
 */
export class ClusterMaker implements AnalysisMaker {
  readonly #told = new Set<number>();
  readonly #handedIn: HandedIn;
  readonly #upkeep = new UpkeepTurn();
  readonly #works: HostWorks;
  #cluster: Cluster | undefined;
  #unlock: (() => Promise<void>) | undefined;
  #stopping = new AbortController();
  #loop: Promise<void> | undefined;
  #wake = (): void => {};
  #trouble = "";
  /** Whether the cluster is known to know what was handed in. */
  #isKnown = false;

  constructor(private readonly lab: ClusterLab) {
    this.#handedIn = new HandedIn(lab.database);
    this.#works = new HostWorks((text) => lab.log(text));
  }

  start(): void {
    this.#stopping = new AbortController();
    this.#loop = this.#run(this.#stopping.signal);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#loop;
    await this.#works.settle();
    await this.#cluster?.close();
    this.#cluster = undefined;
    await this.#unlock?.();
    this.#unlock = undefined;
  }

  wake(): void {
    this.#wake();
  }

  cancel(id: number, reason: string): void {
    const entry = this.lab.database.find(id);
    if (entry === undefined) throw new NotThereError(`there is no analysis ${id}`);
    if (this.lab.queue.cancel(id, reason).kind === "over") throw new ConflictError(`analysis ${id} has ended: ${entry.outcome}`); // prettier-ignore
    this.#wake();
  }

  remove(id: number): void {
    const { database, queue, labFolder, log } = this.lab;
    const entry = database.find(id);
    if (entry === undefined) throw new NotThereError(`there is no analysis ${id}`);
    const name = this.#handedIn.findName(id);
    if (entry.outcome === undefined || !queue.remove(id))
      throw new ConflictError(`analysis ${id} has not ended: ${entry.phase}; cancel it first`);
    this.#handedIn.remove(id);
    rmSync(getAnalysisFolder(labFolder, id), { recursive: true, force: true });
    const cluster = this.#cluster;
    if (cluster === undefined || name === undefined) return;
    const forget = async () => {
      await removeResults(cluster.store, name, {});
      await cluster.upkeep.forget([name]);
    };
    void forget().catch((error: unknown) => log(`removing analysis ${id} from the cluster: ${String(error)}`));
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let waitMs = TICK_MS;
      // Before the turn: what comes meanwhile is looked at in the next one, which follows at once.
      const waking = new AbortController();
      this.#wake = () => waking.abort();
      try {
        const cluster = await this.#connect();
        if (cluster === undefined) waitMs = AGAIN_MS;
        else await this.#turn(cluster);
        if (this.#trouble !== "") this.lab.log("the cluster: all is well again");
        this.#trouble = "";
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        if (text !== this.#trouble) this.lab.log(`the cluster: ${text}`);
        this.#trouble = text;
        waitMs = AGAIN_MS;
      }
      if (signal.aborted) return;
      await sleep(waitMs, undefined, { signal: waking.signal }).catch(() => undefined);
    }
  }

  /** Connects to the cluster, once this process is the one that looks. */
  async #connect(): Promise<Cluster | undefined> {
    const { labFolder, log } = this.lab;
    try {
      this.#unlock ??= await takeLock(`${labFolder}/analyses/cluster.lock`, { timeoutMs: 0, owner: "a rebox that follows the cluster" }); // prettier-ignore
    } catch (error) {
      if (error instanceof MachineryManagerError) return undefined;
      throw error;
    }
    if (this.#cluster !== undefined) return this.#cluster;
    const cluster = await openCluster(labFolder, log);
    cluster.listen((word) => {
      this.#isKnown &&= word !== "";
      if (word === "ended" || word === "") this.#wake();
    }, true);
    return (this.#cluster = cluster);
  }

  async #turn(cluster: Cluster): Promise<void> {
    this.#keepUp(cluster);
    if (!this.#isKnown) await this.#handInAgain(cluster);
    this.#isKnown = true;
    for (const entry of this.#handedIn.listNew()) await this.#handIn(cluster, entry);
    await this.#tellCancellations(cluster);
    const seen = await cluster.queue.list({ origin: cluster.lab, isUncollected: true });
    const { database } = this.lab;
    let [collected, trouble]: [number, unknown] = [0, undefined];
    for (const found of seen) {
      const entry = database.find(found.number);
      if (entry === undefined || entry.outcome !== undefined) {
        // It was ended or removed here before the cluster knew.
        if (found.outcome === undefined) await cluster.queue.cancel(found.id, entry?.reason ?? "removed");
        else await cluster.queue.markCollected([found.id]);
      } else if (found.outcome !== undefined) {
        try {
          await this.#collect(cluster, found);
          collected++;
        } catch (error) {
          trouble ??= error;
          // The others need not wait for one whose files are missing; a store that is away fails for each.
          if (!(error instanceof MissingFileError)) break;
          const cancelled = this.lab.queue.findCancellation(entry.id);
          if (cancelled !== undefined) database.end(entry.id, "cancelled", `${cancelled}; ${error.message}`);
        }
      } else if (found.phase !== "queued" && found.phase !== entry.phase) database.setPhase(entry.id, found.phase);
    }
    if (collected > 0) await this.lab.index();
    if (trouble !== undefined) throw trouble;
  }

  /** Ends what was given up, beside the turn: the database may take its time for that. */
  #keepUp({ queue, leaseS }: Cluster): void {
    if (!this.#works.isIdle || !this.#upkeep.take(1, leaseS)) return;
    this.#works.begin("the cluster's upkeep", () => queue.endGivenUp());
  }

  /** A cluster that was made anew, or is as it was some time ago, knows not all of what it was given. */
  async #handInAgain({ upkeep }: Cluster): Promise<void> {
    const rows = this.#handedIn.listOpen();
    const unknown = new Set(await upkeep.listUnknown(rows.map(({ name }) => name)));
    for (const { id, name } of rows) {
      if (!unknown.has(name)) continue;
      this.#handedIn.remove(id);
      this.#told.delete(id);
    }
    if (unknown.size > 0) this.lab.log(`the cluster does not know ${unknown.size} analyses of this lab any more; they are handed in again`); // prettier-ignore
  }

  async #handIn({ lab, queue, store }: Cluster, entry: AnalysisEntry): Promise<void> {
    const { database } = this.lab;
    const {
      id,
      created: _created,
      phase: _phase,
      outcome: _outcome,
      reason: _reason,
      ended: _ended,
      ...request
    } = entry;
    const gone = [request.target, ...request.scripts].find((path) => path !== undefined && !existsSync(path));
    const problem = gone === undefined ? findHostProblem(request.options) : `${gone} is gone`;
    if (problem !== undefined) return database.end(id, "failed", problem);
    const target = request.target === undefined ? undefined : await putContent(store, request.target);
    const scripts = [];
    for (const script of request.scripts) scripts.push(await putContent(store, script));
    const sent: AnalysisRequest = { ...request, target: undefined, scripts: [] };
    let name: string;
    try {
      name = await queue.submit({ origin: lab, number: id, request: sent, target, scripts });
    } catch (error) {
      if (!(error instanceof OtherAnalysisError)) throw error;
      return database.end(id, "failed", error.message);
    }
    this.#handedIn.add(id, name);
  }

  async #tellCancellations({ queue }: Cluster): Promise<void> {
    const { database, queue: own } = this.lab;
    const rows = database.select("WHERE outcome IS NULL AND id IN (SELECT id FROM cancellations)");
    for (const { id } of rows) {
      const name = this.#handedIn.findName(id);
      if (name === undefined || this.#told.has(id)) continue;
      await queue.cancel(name, own.findCancellation(id) ?? "cancelled");
      this.#told.add(id);
    }
  }

  /** Collects the results: the files, then the row, then it is done. */
  async #collect({ store, queue }: Cluster, found: QueuedAnalysis): Promise<void> {
    const { labFolder, database } = this.lab;
    let reason = found.reason;
    let { outcome } = found;
    try {
      await getResults(store, getAnalysisFolder(labFolder, found.number), found);
    } catch (error) {
      // A store that is away is asked again; a result that is not what it was is none.
      if (!(error instanceof StoredFileError)) throw error;
      [outcome, reason] = ["lost", error.message];
    }
    database.end(found.number, outcome!, reason);
    await queue.markCollected([found.id]);
  }
}
