import { type CompleterResult, createInterface } from "node:readline";
import { toPlainText } from "../../config/terminal-text";
import type { LineAnswer } from "./line-runner";
import type { SessionTarget } from "./session-target";

/** The streams and the form of a shell of plain lines. */
export interface LineShellOptions {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
  /** One line of JSON for each line of input, and no prompt. */
  readonly json?: boolean;
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
  target: SessionTarget,
  { input, output, json = false }: LineShellOptions,
): Promise<void> {
  const isTerminal = (output as Partial<NodeJS.WriteStream>).isTTY === true && !json;
  const prompt = () => toPlainText(target.prompt);
  const lines = createInterface({
    ...{ input, output, terminal: isTerminal, prompt: prompt(), historySize: 1000 },
    completer: (line: string, done: (error: null, result: CompleterResult) => void) =>
      void target.complete(line).then(({ word, words }) => done(null, [[...words], word])),
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
    if (target.isOver || target.isGuestGone) break;
    ask();
  }
  lines.close();
}
