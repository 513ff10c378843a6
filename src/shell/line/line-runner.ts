import type { CommandSession } from "../commands/command-session";
import { toPlainText } from "../../config/terminal-text";
import type { JsonValue } from "../commands/rendering/render";
import { runCommandLine } from "../commands/run-command-line";

/** The answer of a shell to one line. */
export type LineAnswer =
  { readonly text: string; readonly data: JsonValue; readonly error?: never } | { readonly error: string };

/** Carries out the lines of one shell, one after the other, in the order in which they came. */
export class LineRunner {
  #last: Promise<unknown> = Promise.resolve();
  /** The number of lines that have come and not ended. */
  #lines = 0;

  constructor(readonly session: CommandSession) {}

  /** Carries out a line when those before it are done. It never rejects: a failure is an answer. */
  run(line: string): Promise<LineAnswer> {
    this.#lines++;
    const answer = this.#last.then(() => this.#runNow(line));
    this.#last = answer.then(() => {
      this.#lines--;
      this.session.isInterrupted = false;
    });
    return answer;
  }

  /** Ctrl-C: ends the line that is being carried out when that can be ended, else pauses the guest. */
  interrupt(): Promise<LineAnswer> {
    const { cancel } = this.session;
    // The line may have come just before, and not have begun.
    this.session.isInterrupted = this.#lines > 0;
    if (!cancel) return this.#runNow("pause");
    cancel();
    return Promise.resolve({ text: "", data: null });
  }

  async #runNow(line: string): Promise<LineAnswer> {
    try {
      return await runCommandLine(line, this.session);
    } catch (error) {
      return { error: toPlainText(error instanceof Error ? error.message : String(error)) };
    }
  }
}
