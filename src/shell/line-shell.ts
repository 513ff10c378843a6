import { createInterface } from "node:readline";
import type { CommandSession } from "../commands/command-session";
import { listCommandNames } from "../commands/command-table";
import { toPlainText } from "../commands/plain-text";
import type { CommandResult } from "../commands/command-result";
import { type JsonValue, renderJson } from "../commands/render-json";
import { renderText } from "../commands/render-text";
import { Engine } from "../engine/engine";
import { type LineAnswer, LineRunner } from "./line-runner";

/** Where a shell of plain lines reads and writes. */
export interface LineShellOptions {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
  /** One line of JSON for each line of input, and no prompt. */
  readonly json?: boolean;
}

/** What carries out the lines of a shell: here, or over a socket. */
export interface LineTarget {
  readonly prompt: string;
  readonly isOver: boolean;
  run(line: string): Promise<LineAnswer>;
  /** Is told what happens without being asked for. */
  onNotice: ((notice: { readonly text: string; readonly data: JsonValue }) => void) | undefined;
  /** Ctrl-C. */
  interrupt(): Promise<LineAnswer>;
}

/** Makes a session of this process what a shell speaks with. */
export function createLocalTarget(session: CommandSession): LineTarget {
  const runner = new LineRunner(session);
  const target: LineTarget = {
    onNotice: undefined,
    get prompt() {
      return session.prompt;
    },
    get isOver() {
      return session.wantsEnd;
    },
    run: (line) => runner.run(line),
    // Not behind the lines that wait: it is to stop what goes on now.
    interrupt: () => runner.interrupt(),
  };
  session.onNotice = ({ text, data }) => {
    const notice: CommandResult = { kind: "data", text, data };
    target.onNotice?.({ text: renderText(notice), data: renderJson(notice) });
  };
  return target;
}

/** Writes an answer as the shell shows it. */
export function showAnswer(answer: LineAnswer, asJson: boolean): string {
  if (asJson)
    return `${JSON.stringify(answer.error === undefined ? { data: answer.data } : { error: answer.error })}\n`;
  if (answer.error !== undefined) return `error: ${answer.error}\n`;
  return answer.text === "" ? "" : `${answer.text}\n`;
}

/**
 * Reads lines and answers them until the input ends, or the session does. Ctrl-C at a terminal pauses the guest.
 *
 * @returns when the last line was answered
 */
export async function runLineShell(
  target: LineTarget,
  { input, output, json = false }: LineShellOptions,
): Promise<void> {
  const isTerminal = (output as Partial<NodeJS.WriteStream>).isTTY === true && !json;
  const prompt = () => toPlainText(target.prompt);
  const lines = createInterface({
    ...{ input, output, terminal: isTerminal, prompt: prompt(), historySize: 1000 },
    completer: (line: string) => [listCommandNames().filter((name) => name.startsWith(line)), line],
  });
  const show = (answer: LineAnswer) => output.write(showAnswer(answer, json));
  lines.on("SIGINT", () => {
    void target.interrupt().then((answer) => {
      show(answer);
      lines.prompt();
    });
  });
  target.onNotice = ({ text, data }) => {
    output.write(json ? `${JSON.stringify({ notice: data })}\n` : `${text}\n`);
  };
  const ask = () => {
    if (!isTerminal) return;
    lines.setPrompt(prompt());
    lines.prompt();
  };
  ask();
  for await (const line of lines) {
    show(await target.run(line));
    if (target.isOver || isEnded()) break;
    ask();
  }
  lines.close();
}

function isEnded(): boolean {
  const state = Engine.find()?.state;
  return state === "shutdown" || state === "crashed";
}
