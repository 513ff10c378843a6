/** Counts what a server has answered, for its metrics. */
export class RequestCounts {
  readonly #answers = new Map<string, number>();
  /** Bytes of files that were handed in. */
  uploadedBytes = 0;
  /** Analyses that were asked for. */
  submissions = 0;
  signInsRefused = 0;

  /** @param status of the answer */
  countAnswer(status: number): void {
    const kind = `${Math.floor(status / 100)}xx`;
    this.#answers.set(kind, (this.#answers.get(kind) ?? 0) + 1);
  }

  /** The numbers of answers by their kind: "2xx". */
  get answers(): ReadonlyMap<string, number> {
    return this.#answers;
  }
}
