import type { LineAnswer } from "../line/line-runner";
import type { SessionTarget } from "../line/session-target";

/** Lines that are carried out one after the other, each shown when its turn comes: so it stands above its answer. */
export class LineQueue {
  /** The line that is being carried out. */
  current: string | undefined;
  readonly #waiting: string[] = [];

  /**
   * @param onStart is given a line whose turn has come
   * @param onAnswer receives the answer
   */
  constructor(
    private readonly target: SessionTarget,
    private readonly onStart: (line: string) => void,
    private readonly onAnswer: (answer: LineAnswer) => void,
  ) {}

  add(line: string): void {
    this.#waiting.push(line);
    if (this.current === undefined) void this.#run();
  }

  async #run(): Promise<void> {
    for (let line = this.#waiting.shift(); line !== undefined; line = this.#waiting.shift()) {
      this.current = line;
      this.onStart(line);
      const answer = await this.target.run(line);
      this.current = undefined;
      this.onAnswer(answer);
    }
  }
}
