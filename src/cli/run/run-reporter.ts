import { toColouredText } from "../../config/terminal-text";
import type { ScriptError } from "../../scripts/errors";
import type { ScriptMessage } from "../../scripts/script-host-options";
import type { JsonLog } from "./json-log";
import type { CallbackFailure } from "./run-environment";

/** Counts failures of callbacks, so that a callback that throws a million times is printed once. */
export class CallbackFailures {
  private readonly counts = new Map<string, number>();

  /**
   * Counts one failure.
   *
   * @returns true when it is worth printing: the callback's first one, or the one that got it removed
   */
  add(failure: CallbackFailure): boolean {
    const key = `${failure.callback} of ${failure.script}`;
    const before = this.counts.get(key) ?? 0;
    // The engine may report only some of a storm of failures; its own count is the true one then.
    this.counts.set(key, Math.max(before + 1, failure.count));
    return before === 0 || failure.removed;
  }

  /** The number of all failures. */
  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Returns one line for each callback that failed, the most often failing one first. */
  describe(): string[] {
    const sorted = [...this.counts].sort(([, a], [, b]) => b - a);
    return sorted.map(([key, count]) => `${key} failed ${count} time${count === 1 ? "" : "s"}`);
  }
}

/** Reports the events of a run: text for people, and JSON lines for programs. */
export class RunReporter {
  private readonly failures = new CallbackFailures();

  /**
   * @param messages receives the scripts' messages
   * @param problems receives the sentences of rebox itself
   * @param log receives the JSON lines; undefined without --json
   */
  constructor(
    private readonly messages: NodeJS.WritableStream,
    private readonly problems: NodeJS.WritableStream,
    private readonly log: JsonLog | undefined,
  ) {}

  /** Prints a script's message, each of its lines marked with the script's name. */
  message(message: ScriptMessage): void {
    const mark = `[${message.script}] `;
    this.messages.write(`${toColouredText(message.text).replace(/^/gm, mark)}\n`);
    this.log?.add("message", message);
  }

  /** Prints what a command was asked for, and writes it as a JSON line too. */
  tell(text: string, type: string, detail: object): void {
    this.messages.write(`${toColouredText(text)}\n`);
    this.log?.add(type, detail);
  }

  /** Writes a JSON line about the run, and nothing for people. */
  event(type: string, detail: object = {}): void {
    this.log?.add(type, detail);
  }

  /** Prints a sentence of rebox's own. */
  say(text: string): void {
    this.problems.write(`rebox: ${toColouredText(text)}\n`);
  }

  /** Reports a script that did not load or did not end well, with its source line and stack. */
  scriptError(error: ScriptError): void {
    this.say(error.toReport());
    this.log?.add("scriptError", { script: error.script, message: error.message, ...error.place });
  }

  /**
   * Reports a callback's first failure, and the one that gets it removed; counts the others.
   *
   * @param failure the failure
   * @param getStack gives the script's part of the error's stack; asked only when it is printed, since that takes time
   */
  callbackFailure(failure: CallbackFailure, getStack: (error: Error) => string): void {
    if (!this.failures.add(failure)) return;
    const { callback, script, error, count, removed } = failure;
    const consequence = removed ? "It was removed." : "The guest goes on; further failures of it are only counted.";
    // A callback that was cut off did not throw: there is no stack but ours.
    const stack = removed ? error.message : getStack(error);
    this.say(`callback ${callback} of ${script} failed: ${stack}\n${consequence}`);
    this.log?.add("callbackError", { callback, script, message: error.message, stack, count, removed });
  }

  /** Prints how often which callback failed, and writes the JSON log's last line. */
  end(status: number, detail: object): void {
    const { total } = this.failures;
    if (total > 0) {
      this.say(`${total} failure${total === 1 ? "" : "s"} in callbacks: ${this.failures.describe().join("; ")}`);
    }
    this.log?.add("end", { status, callbackErrors: total, ...detail });
  }
}
