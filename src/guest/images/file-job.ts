import type { NativeFileOutcome } from "../../machine/engine/native";
import { createSystemError } from "./system-error";

const PROGRESS_MS = 200;

/** A native job on a file, which takes its time on another thread. */
export class FileJob {
  /** Shared with the addon: how far the job is, and whether to stop. */
  readonly #control = new BigUint64Array(2);

  /**
   * @param signal stops it
   * @param onProgress called now and then with how far it is, in bytes
   */
  constructor(
    private readonly signal: AbortSignal | undefined,
    private readonly onProgress: (done: number) => void,
  ) {}

  /**
   * Runs the job.
   *
   * @returns how large the file became
   * @throws Error of the system, with its code; ECANCELED when it was stopped
   */
  async run(start: (control: BigUint64Array) => Promise<NativeFileOutcome>): Promise<number> {
    const stop = (): void => void Atomics.store(this.#control, 1, 1n);
    const tell = (): void => this.onProgress(Number(Atomics.load(this.#control, 0)));
    const timer = setInterval(tell, PROGRESS_MS);
    this.signal?.addEventListener("abort", stop);
    if (this.signal?.aborted === true) stop();
    try {
      const { error, detail, size } = await start(this.#control);
      if (error !== 0) throw createSystemError(error, detail);
      tell();
      return size;
    } finally {
      clearInterval(timer);
      this.signal?.removeEventListener("abort", stop);
    }
  }
}
