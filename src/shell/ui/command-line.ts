import type { SessionTarget } from "../line/session-target";
import { CommandEditor } from "./command-editor";
import type { Key } from "./key-reader";
import { toCells } from "./styled-line";

/** Something else than a command that is asked for in the last row. */
interface Question {
  readonly label: string;
  readonly answer: (text: string) => void;
}

/** The last row: what is typed becomes a command, or the answer to a question. */
export class CommandLine {
  readonly #editor = new CommandEditor();
  #question: Question | undefined;

  /**
   * @param target completes words
   * @param onLine is given each command
   * @param onChoices receives the completions of a word, when there is more than one
   */
  constructor(
    private readonly target: SessionTarget,
    private readonly onLine: (line: string) => void,
    private readonly onChoices: (words: readonly string[]) => void,
  ) {}

  get isEmpty(): boolean {
    return this.#editor.text === "";
  }

  /** Asks for something; an empty answer is one too. */
  ask(question: Question): void {
    this.#question = question;
    this.#editor.set("");
  }

  /** Drops what has been typed, and the question. */
  cancel(): void {
    this.#question = undefined;
    this.#editor.set("");
  }

  /** @returns a promise when the key's work goes on: the line changes again when it is done */
  handle(key: Key): Promise<void> | undefined {
    if (key.name === "tab") return this.#complete();
    if (key.name === "C-g") this.cancel();
    else if (key.name === "return" || key.name === "enter") this.#enter();
    else this.#editor.handle(key);
    return undefined;
  }

  /** @param width in cells; the line is moved aside so that the cursor is always shown */
  render(width: number): { readonly text: string; readonly column: number } {
    const label = toCells(this.#question?.label ?? this.target.prompt);
    const { text, cursor } = this.#editor;
    const column = label.length + toCells(text.slice(0, cursor)).length;
    const hidden = Math.max(0, column + 1 - width);
    return { text: `${label}${toCells(text)}`.slice(hidden, hidden + width - 1), column: column - hidden };
  }

  #enter(): void {
    const line = this.#editor.take();
    const question = this.#question;
    this.#question = undefined;
    if (question) question.answer(line.trim());
    else if (line.trim() !== "") this.onLine(line);
  }

  async #complete(): Promise<void> {
    const { text, cursor } = this.#editor;
    const { word, words } = await this.target.complete(text.slice(0, cursor));
    // Text that was typed in the meantime counts.
    if (this.#editor.text !== text || this.#editor.cursor !== cursor) return;
    const common = findCommonStart(words);
    if (words.length === 1) this.#editor.replaceWord(word, `${words[0]} `);
    else if (common.length > word.length) this.#editor.replaceWord(word, common);
    else if (words.length > 1) this.onChoices(words);
  }
}

function findCommonStart(words: readonly string[]): string {
  let common = words[0] ?? "";
  for (const word of words) while (!word.startsWith(common)) common = common.slice(0, -1);
  return common;
}
