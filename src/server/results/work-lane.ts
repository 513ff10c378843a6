import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { getProjectFolder } from "../../config/folders";
import { BadRequestError, BusyError } from "../errors";
import type { Work } from "./work";
import type { WorkAnswer } from "./work-thread";

const PROGRAM = join(getProjectFolder(), "build/js/src/server/results/work-thread.js");
/** How long a thread may be without work, in milliseconds. */
const IDLE_MS = 30_000;
/** The memory of a thread, and the part of it for what is short-lived, in MiB: without a limit that grows to three times as much, and stays. */
const MEMORY_MIB = 512;
const YOUNG_MIB = 16;

/** The bounds of a lane. */
export interface LaneLimits {
  /** Threads at once. */
  readonly mostThreads: number;
  /** Threads that stay without work: starting one takes longer than most works. */
  readonly keptThreads: number;
  /** Works that wait for a thread. */
  readonly mostWaiting: number;
  /** How long a work may take, in milliseconds. */
  readonly limitMs: number;
}

interface Waiting {
  readonly work: Work;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** Threads that do one work after the other. */
export class WorkLane {
  readonly #waiting: Waiting[] = [];
  readonly #idle = new Map<Worker, NodeJS.Timeout>();
  readonly #threads = new Set<Worker>();
  #isClosed = false;

  constructor(private readonly limits: LaneLimits) {}

  /** Has a thread be ready, for which the first work would wait otherwise. */
  warm(): void {
    if (this.#threads.size === 0 && !this.#isClosed) this.#rest(this.#startThread());
  }

  /**
   * Does a work.
   *
   * @throws BusyError when too many wait, or it takes too long; BadRequestError when it cannot be done
   */
  do(work: Work): Promise<unknown> {
    if (this.#waiting.length >= this.limits.mostWaiting || this.#isClosed) throw new BusyError("the server has too much to do; try again in 10 seconds"); // prettier-ignore
    return new Promise((resolve, reject) => {
      this.#waiting.push({ work, resolve, reject });
      this.#begin();
    });
  }

  /** Ends all threads. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(new BusyError("the server ends"));
    for (const timer of this.#idle.values()) clearTimeout(timer);
    await Promise.all([...this.#threads].map((thread) => thread.terminate()));
  }

  /** Has a thread wait for work. */
  #rest(thread: Worker): void {
    const end = () => {
      if (this.#threads.size <= this.limits.keptThreads) return;
      this.#threads.delete(thread);
      this.#idle.delete(thread);
      void thread.terminate();
    };
    this.#idle.set(thread, setTimeout(end, IDLE_MS).unref());
  }

  #begin(): void {
    if (this.#waiting.length === 0) return;
    const [idle] = this.#idle.keys();
    if (idle === undefined && this.#threads.size >= this.limits.mostThreads) return;
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
    const { limitMs } = this.limits;
    const late = setTimeout(() => end(new BusyError(`it took longer than ${limitMs / 1000} s; try again when the server has less to do`), true), limitMs); // prettier-ignore
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

/** Starts a thread that does works. */
export function makeThread(): Worker {
  return new Worker(PROGRAM, { resourceLimits: { maxOldGenerationSizeMb: MEMORY_MIB, maxYoungGenerationSizeMb: YOUNG_MIB } }); // prettier-ignore
}
