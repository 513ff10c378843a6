import { setTimeout as sleep } from "node:timers/promises";
import { existsSync, rmSync } from "node:fs";
import type { AnalysisDatabase } from "../../lab/analysis/analysis-database";
import { getAnalysisFolder, getProcessMark } from "../../lab/analysis/analysis-places";
import { type Cleaning, endAbandoned, endLostAnalyses } from "../../lab/analysis/end-abandoned";
import { findMarked } from "../../lab/analysis/marked-processes";
import type { ServedQueue } from "../../lab/analysis/queue/served-queue";
import { ConflictError, NotThereError } from "../errors";

/** The time between two looks at the queue, in milliseconds: others use the lab too. */
const POLL_MS = 250;

/** The process of an analysis that was started. */
export interface StartedAnalysis {
  /** Settles when the process has ended: with how, as text. */
  readonly ended: Promise<string>;
}

/** Starts the process of an analysis of the queue, which goes on when the server is gone. */
export type StartAnalysis = (labFolder: string, id: number) => StartedAnalysis;

/** Has the analyses of a lab's queue made, here or elsewhere. */
export interface AnalysisMaker {
  start(): void;
  /** Begins no more. Those that run go on. */
  stop(): Promise<void>;
  /** Looks at the queue at once. */
  wake(): void;
  /** Ends an analysis early. @throws NotThereError; ConflictError when it has ended */
  cancel(id: number, reason: string): void;
  /** Removes an analysis that has ended, with its results. @throws NotThereError; ConflictError when it goes on */
  remove(id: number): void;
}

/** Has the analyses of a server's queue made, each by a process of its own, so many at once as the lab permits. */
export class Dispatcher implements AnalysisMaker {
  readonly #database: AnalysisDatabase;
  readonly #own = new Set<number>();
  #stopping = new AbortController();
  #loop: Promise<void> | undefined;
  #wake = (): void => {};
  #tellEnd = (): void => {};

  /**
   * @param cleaning the lab
   * @param limit how many analyses may run at once in the lab
   * @param pollMs between two looks at the queue, in milliseconds
   */
  constructor(
    private readonly cleaning: Cleaning,
    private readonly queue: ServedQueue,
    private readonly limit: number,
    private readonly startAnalysis: StartAnalysis,
    private readonly pollMs = POLL_MS,
  ) {
    this.#database = cleaning.database;
  }

  /** Begins to start analyses; those that an earlier server has left in the queue are the first. */
  start(): void {
    this.queue.requeue();
    this.#stopping = new AbortController();
    this.#loop = this.#run(this.#stopping.signal);
  }

  /** Starts no more. Those that run go on. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#loop;
  }

  /** Looks at the queue at once. */
  wake(): void {
    this.#wake();
  }

  /**
   * Ends an analysis early.
   *
   * @param reason is recorded
   * @throws NotThereError; ConflictError when it has ended, or waits for a `rebox analyze`
   */
  cancel(id: number, reason: string): void {
    const entry = this.#database.find(id);
    if (entry === undefined) throw new NotThereError(`there is no analysis ${id}`);
    const result = this.queue.cancel(id, reason);
    if (result.kind === "over") throw new ConflictError(`analysis ${id} has ended: ${entry.outcome}`);
    if (result.kind === "ended" || result.process === undefined) return;
    const { pid } = result.process;
    // One that waits belongs to the command that asked for it, which may have others.
    if (!findMarked(getProcessMark(this.cleaning.labFolder, id)).includes(pid))
      throw new ConflictError(`analysis ${id} belongs to a rebox analyze that goes on; end it there`);
    process.kill(pid, "SIGTERM");
  }

  /** Removes an analysis that has ended, with its results. @throws NotThereError; ConflictError when it goes on */
  remove(id: number): void {
    const entry = this.#database.find(id);
    if (entry === undefined) throw new NotThereError(`there is no analysis ${id}`);
    if (entry.outcome === undefined || this.#own.has(id) || !this.queue.remove(id))
      throw new ConflictError(`analysis ${id} has not ended: ${entry.phase}; cancel it first`);
    rmSync(getAnalysisFolder(this.cleaning.labFolder, id), { recursive: true, force: true });
  }

  /** Calls back each time the process of an analysis that was begun here has ended, and what it left is cleaned up. */
  listenToEnds(onEnd: () => void): void {
    this.#tellEnd = onEnd;
  }

  /** Returns whether the process of an analysis that was begun here runs, or what it left is being cleaned up. */
  isMaking(id: number): boolean {
    return this.#own.has(id);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        // The ends of our own processes arrive as events.
        await endLostAnalyses(this.cleaning, this.#own);
        for (let next = this.queue.beginNext(this.limit); next !== undefined; next = this.queue.beginNext(this.limit))
          this.#start(next.id);
      } catch (error) {
        this.cleaning.log(`the queue: ${error instanceof Error ? error.message : String(error)}`);
      }
      if (signal.aborted) return;
      const waking = new AbortController();
      this.#wake = () => waking.abort();
      await sleep(this.pollMs, undefined, { signal: waking.signal }).catch(() => undefined);
    }
  }

  #start(id: number): void {
    this.#own.add(id);
    const { ended } = this.startAnalysis(this.cleaning.labFolder, id);
    void ended.then((how) => this.#afterProcess(id, how));
  }

  async #afterProcess(id: number, how: string): Promise<void> {
    const { cleaning } = this;
    // The server ends, and its database is closed: the next one, or the next command on the lab, looks after it.
    if (this.#stopping.signal.aborted) return;
    try {
      const entry = this.#database.find(id);
      if (entry !== undefined && entry.outcome === undefined && existsSync(cleaning.labFolder)) {
        this.#database.takeOver(id);
        await endAbandoned(cleaning, entry, `its process ${how}`);
      }
    } catch (error) {
      cleaning.log(`cleaning up after analysis ${id}: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#own.delete(id);
    this.#wake();
    this.#tellEnd();
  }
}
