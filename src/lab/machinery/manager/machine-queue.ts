import { CancelledError } from "../../../config/errors";

/** Lets one task run at a time, in the order in which they came. */
export class MachineQueue {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Runs a task when those before it are done, however they ended.
   *
   * @throws CancelledError when it is cancelled before its turn; whatever the task throws
   */
  run<Result>(what: string, signal: AbortSignal | undefined, task: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(() => {
      if (signal?.aborted) throw new CancelledError(`${what} was cancelled while it waited for its turn`);
      return task();
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

/** Lets so many tasks run at once; the others wait in their order. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param count 0 is without limit */
  constructor(count: number) {
    this.#free = count === 0 ? Infinity : count;
  }

  async run<Result>(task: () => Promise<Result>): Promise<Result> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
