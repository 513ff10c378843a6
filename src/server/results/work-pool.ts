import type { Worker } from "node:worker_threads";
import type { Work, WorkResults } from "./work";
import { type LaneLimits, makeThread, WorkLane } from "./work-lane";
import type { WorkAnswer } from "./work-thread";

/** Of what somebody waits for in front of a page. */
const QUICK: LaneLimits = { mostThreads: 2, keptThreads: 1, mostWaiting: 50, limitMs: 120_000 };
/** Of what makes a file out of a whole analysis, or writes its report: of a hundred million events that takes many minutes, as packing an archive does. */
const LONG: LaneLimits = { mostThreads: 2, keptThreads: 0, mostWaiting: 50, limitMs: 3_600_000 };
const LONG_WORKS: readonly Work["kind"][] = ["export", "lite"];
/** Of what the making of analyses waits for: no export holds it up, and none of it is refused. */
const OWN: LaneLimits = { mostThreads: 2, keptThreads: 0, mostWaiting: Infinity, limitMs: 3_600_000 };
const OWN_WORKS: readonly Work["kind"][] = ["index", "abandoned"];

/** Threads that do work on whole analyses: a server's own thread answers requests in the meantime, and long works hold no short ones up. */
export class WorkPool {
  readonly #quick: WorkLane;
  readonly #long: WorkLane;
  readonly #own = new WorkLane(OWN);
  /** Those of works that are done apart. */
  readonly #apart = new Set<Worker>();
  #isClosed = false;

  /** @param limits of what somebody waits for, and of what may take long */
  constructor(limits: { readonly quick: LaneLimits; readonly long: LaneLimits } = { quick: QUICK, long: LONG }) {
    this.#quick = new WorkLane(limits.quick);
    this.#long = new WorkLane(limits.long);
  }

  /** Has a thread be ready, for which the first work would wait otherwise. */
  warm(): void {
    this.#quick.warm();
  }

  /**
   * Does a work.
   *
   * @throws BusyError when too many wait, or it takes too long; BadRequestError when it cannot be done
   */
  do<Kind extends Work["kind"]>(work: Extract<Work, { kind: Kind }>): Promise<WorkResults[Kind]> {
    return this.#laneOf(work).do(work) as Promise<WorkResults[Kind]>;
  }

  #laneOf({ kind }: Work): WorkLane {
    if (OWN_WORKS.includes(kind)) return this.#own;
    return LONG_WORKS.includes(kind) ? this.#long : this.#quick;
  }

  /**
   * Does a work that may take as long as it wants, in a thread of its own: no other waits for it, and its memory is given back.
   *
   * @throws Error when it cannot be done; nothing is thrown when the pool is closed in the meantime
   */
  async doApart(work: Work): Promise<void> {
    if (this.#isClosed) return;
    const thread = makeThread();
    this.#apart.add(thread);
    try {
      await new Promise<void>((resolve, reject) => {
        thread.once("message", (answer: WorkAnswer) => ("failure" in answer ? reject(new Error(answer.failure)) : resolve())); // prettier-ignore
        thread.once("error", reject);
        thread.once("exit", () => (this.#isClosed ? resolve() : reject(new Error("its thread has ended"))));
        thread.postMessage(work);
      });
    } finally {
      this.#apart.delete(thread);
      await thread.terminate();
    }
  }

  /** Ends all threads. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const apart = [...this.#apart].map((thread) => thread.terminate());
    await Promise.all([this.#quick.close(), this.#long.close(), this.#own.close(), ...apart]);
  }
}
