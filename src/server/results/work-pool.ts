import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { getProjectFolder } from "../../config/folders";
import { BadRequestError, BusyError } from "../errors";
import type { Work, WorkResults } from "./work";
import type { WorkAnswer } from "./work-thread";

const PROGRAM = join(getProjectFolder(), "build/js/src/server/results/work-thread.js");
/** Threads at once; works that wait for one; and how long a thread may be without work, and a work may take, in milliseconds. */
const MOST_THREADS = 2;
const MOST_WAITING = 50;
const IDLE_MS = 30_000;
const LIMIT_MS = 120_000;
/** The memory of a thread, and the part of it for what is short-lived, in MiB: without a limit that grows to three times as much, and stays. */
const MEMORY_MIB = 512;
const YOUNG_MIB = 16;

interface Waiting {
  readonly work: Work;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** Threads that do work on whole analyses: a server's own thread answers requests in the meantime. */
export class WorkPool {
  readonly #waiting: Waiting[] = [];
  readonly #idle = new Map<Worker, NodeJS.Timeout>();
  readonly #threads = new Set<Worker>();
  /** Those of works that are done apart. */
  readonly #apart = new Set<Worker>();
  #isClosed = false;

  /** Has a thread be ready, for which the first work would wait otherwise. */
  warm(): void {
    if (this.#threads.size === 0 && !this.#isClosed) this.#rest(this.#startThread());
  }

  /**
   * Does a work.
   *
   * @throws BusyError when too many wait; BadRequestError when it cannot be done, or takes too long
   */
  do<Kind extends Work["kind"]>(work: Extract<Work, { kind: Kind }>): Promise<WorkResults[Kind]> {
    if (this.#waiting.length >= MOST_WAITING || this.#isClosed) throw new BusyError("the server has too much to do; try again in 10 seconds"); // prettier-ignore
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.push({ work, resolve, reject });
      this.#begin();
    }) as Promise<WorkResults[Kind]>;
  }

  /**
   * Does a work that may take very long, in a thread of its own: no other waits for it, and its memory is given back.
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
    for (const { reject } of this.#waiting.splice(0)) reject(new BusyError("the server ends"));
    for (const timer of this.#idle.values()) clearTimeout(timer);
    await Promise.all([...this.#threads, ...this.#apart].map((thread) => thread.terminate()));
  }

  /** Has a thread wait for work. The last one stays: starting one takes longer than most works. */
  #rest(thread: Worker): void {
    const end = () => {
      if (this.#threads.size === 1) return;
      this.#threads.delete(thread);
      this.#idle.delete(thread);
      void thread.terminate();
    };
    this.#idle.set(thread, setTimeout(end, IDLE_MS).unref());
  }

  #begin(): void {
    if (this.#waiting.length === 0) return;
    const [idle] = this.#idle.keys();
    if (idle === undefined && this.#threads.size >= MOST_THREADS) return;
    const thread = idle ?? this.#startThread();
    clearTimeout(this.#idle.get(thread));
    this.#idle.delete(thread);
    this.#give(thread, this.#waiting.shift()!);
  }

  #startThread(): Worker {
    const thread = makeThread();
    this.#threads.add(thread);
    // Each work has its own listeners; this one keeps an error between two works from ending the server.
    thread.on("error", () => undefined);
    thread.once("exit", () => {
      this.#threads.delete(thread);
      clearTimeout(this.#idle.get(thread));
      this.#idle.delete(thread);
      if (!this.#isClosed) this.#begin();
    });
    return thread;
  }

  #give(thread: Worker, { work, resolve, reject }: Waiting): void {
    const late = setTimeout(() => end(new BadRequestError(`it took longer than ${LIMIT_MS / 1000} s`), true), LIMIT_MS);
    const onAnswer = (answer: WorkAnswer) => {
      if ("failure" in answer) end(new BadRequestError(answer.failure), false);
      else {
        resolve(answer.result);
        end(undefined, false);
      }
    };
    const onError = (error: Error) => end(new BadRequestError(`it cannot be done: ${error.message}`), true);
    const onExit = () => end(new BadRequestError("it cannot be done: its thread has ended"), true);
    const end = (error: Error | undefined, isBroken: boolean) => {
      clearTimeout(late);
      thread.off("message", onAnswer).off("error", onError).off("exit", onExit);
      if (error !== undefined) reject(error);
      if (isBroken) void thread.terminate();
      else {
        this.#rest(thread);
        this.#begin();
      }
    };
    thread.on("message", onAnswer).on("error", onError).on("exit", onExit);
    thread.postMessage(work);
  }
}

function makeThread(): Worker {
  return new Worker(PROGRAM, { resourceLimits: { maxOldGenerationSizeMb: MEMORY_MIB, maxYoungGenerationSizeMb: YOUNG_MIB } }); // prettier-ignore
}
