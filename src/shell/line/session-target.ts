import type { Moment } from "../../config/moment";
import { Engine } from "../../machine/engine/engine";
import type { CommandResult } from "../commands/command-result";
import type { CommandSession } from "../commands/command-session";
import { completeLine, type LineCompletion } from "../commands/complete-line";
import { type JsonValue, renderJson, renderText } from "../commands/rendering/render";
import { type LineAnswer, LineRunner } from "./line-runner";
import type { RunEvent, RunFeed } from "./run-feed";

/** Something that happened, as a shell shows it. */
export interface ShownNotice {
  readonly text: string;
  readonly data: JsonValue;
  /** When, where that matters. */
  readonly moment?: Moment | undefined;
}

/** A target that carries out the lines of a shell: here, or over a socket. */
export interface SessionTarget {
  readonly prompt: string;
  readonly isOver: boolean;
  /** Whether the machine of this process has ended; false for the engine of another process, whose connection ends then. */
  readonly isGuestGone: boolean;
  run(line: string): Promise<LineAnswer>;
  /** Ctrl-C. */
  interrupt(): Promise<LineAnswer>;
  /** Carries out lines that only look at the guest, before those that wait, and all at the same moment of the guest. */
  look(lines: readonly string[]): Promise<readonly LineAnswer[]>;
  /** Completes the last word of a line. */
  complete(line: string): Promise<LineCompletion>;
  /** Types at the guest's serial console. */
  sendToConsole(text: string): void;
  /** Asks for events: the past first. */
  watch(): void;
  close(): void;
  /** Receives events that no line asked for. */
  onNotice: ((notice: ShownNotice) => void) | undefined;
  onEvent: ((event: RunEvent) => void) | undefined;
}

/** Makes the target of a session of this process. */
export function createLocalTarget(session: CommandSession, feed?: RunFeed): SessionTarget {
  const runner = new LineRunner(session);
  let unwatch: (() => void) | undefined;
  const target: SessionTarget = {
    onNotice: undefined,
    onEvent: undefined,
    get prompt() {
      return session.prompt;
    },
    get isOver() {
      return session.wantsEnd;
    },
    get isGuestGone() {
      const state = Engine.find()?.state;
      return state === "shutdown" || state === "crashed";
    },
    run: (line) => runner.run(line),
    // In front of the lines that wait: it has to stop the present work.
    interrupt: () => runner.interrupt(),
    // A line that looks waits for nothing but promises: the guest executes nothing in between.
    look: (lines) => Promise.all(lines.map((line) => new LineRunner(session).run(line))),
    complete: async (line) => completeLine(line, session),
    sendToConsole: (text) => feed?.sendToConsole?.(text),
    watch: () => {
      unwatch ??= feed?.watch((event) => target.onEvent?.(event));
    },
    close: () => {
      unwatch?.();
      session.close();
    },
  };
  session.onNotice = ({ text, data, moment }) => {
    const notice: CommandResult = { kind: "data", text, data };
    target.onNotice?.({ text: renderText(notice), data: renderJson(notice), moment });
  };
  return target;
}
