import { setTimeout as sleep } from "node:timers/promises";
import type { AnalysisDatabase, AnalysisEntry, AnalysisRequest } from "../../lab/analysis/analysis-database";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import { type Cleaning, endAbandoned, endLostAnalyses } from "../../lab/analysis/end-abandoned";
import type { AnalysisProgress } from "./analysis-progress";
import { AnalysisWorker } from "./analysis-worker";

/** The time between two looks at the queue, in milliseconds: others may use the lab. */
const POLL_MS = 250;

/** Has analyses made, each by a process of its own, and cleans up after one that is killed. */
export class AnalysisSupervisor {
  readonly #database: AnalysisDatabase;
  readonly #workers = new Map<number, AnalysisWorker>();
  readonly #finished: AnalysisEntry[] = [];
  #wake = (): void => {};

  /**
   * @param cleaning the lab
   * @param limit how many analyses may run at once in the lab
   * @param progress shows their progress
   */
  constructor(
    private readonly cleaning: Cleaning,
    private readonly limit: number,
    private readonly progress: AnalysisProgress,
  ) {
    this.#database = cleaning.database;
  }

  /**
   * Queues analyses and waits until all of them have ended.
   *
   * @param signal cancels those that wait and those that run; its reason is recorded
   * @returns how they ended, in the order of the requests
   */
  async run(requests: readonly AnalysisRequest[], signal: AbortSignal): Promise<AnalysisEntry[]> {
    const waiting = requests.map((request) => this.#database.add(request));
    for (const id of waiting) this.progress.queue(id);
    const onAbort = () => {
      for (const worker of this.#workers.values()) worker.cancel(reasonOf(signal));
    };
    signal.addEventListener("abort", onAbort);
    try {
      while (waiting.length > 0 || this.#workers.size > 0) {
        if (signal.aborted) for (const id of waiting.splice(0)) this.#end(id, reasonOf(signal));
        // The ends of our own workers arrive as events, so those are left alone here.
        await endLostAnalyses(this.cleaning, new Set(this.#workers.keys()));
        while (waiting.length > 0 && this.#database.begin(waiting[0]!, this.limit)) this.#start(waiting.shift()!);
        await this.#untilChange();
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
    return this.#finished.toSorted((one, other) => one.id - other.id);
  }

  /** Waits until one of the analyses here has ended, or one elsewhere may have. */
  async #untilChange(): Promise<void> {
    const waking = new AbortController();
    this.#wake = () => waking.abort();
    await sleep(POLL_MS, undefined, { signal: waking.signal }).catch(() => undefined);
  }

  #start(id: number): void {
    const worker = new AnalysisWorker(this.cleaning.labFolder, id, (message) => this.progress.tell(id, message));
    this.#workers.set(id, worker);
    void worker.ended.then((how) => this.#afterWorker(id, how));
  }

  async #afterWorker(id: number, how: string): Promise<void> {
    const { cleaning } = this;
    const entry = this.#database.find(id)!;
    try {
      if (entry.outcome === undefined) {
        this.#database.takeOver(id);
        await endAbandoned(cleaning, entry, `its process ${how}`);
      }
    } catch (error) {
      cleaning.log(`cleaning up after analysis ${id}: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#workers.delete(id);
    this.#finish(id);
    this.#wake();
  }

  #end(id: number, reason: string): void {
    this.#database.end(id, "cancelled", reason);
    this.#finish(id);
  }

  #finish(id: number): void {
    const entry = this.#database.find(id)!;
    this.#finished.push(entry);
    this.progress.end(entry, getAnalysisFolder(this.cleaning.labFolder, id));
  }
}

function reasonOf(signal: AbortSignal): string {
  return signal.reason instanceof Error ? signal.reason.message : String(signal.reason);
}
