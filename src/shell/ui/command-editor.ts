import type { Key } from "./key-reader";

const MOST_HISTORY = 1000;

/** One line that is being typed, with the history of those before it. */
export class CommandEditor {
  text = "";
  /** In UTF-16 units from the beginning. */
  cursor = 0;
  readonly #history: string[] = [];
  /** The place of the line in the history; the history's length for the line that is being typed. */
  #at = 0;
  #typed = "";

  /** Takes the line, which is empty afterwards. */
  take(): string {
    const line = this.text;
    if (line.trim() !== "" && line !== this.#history.at(-1)) this.#history.push(line);
    this.#history.splice(0, this.#history.length - MOST_HISTORY);
    this.#at = this.#history.length;
    this.set("");
    return line;
  }

  set(text: string): void {
    this.text = text;
    this.cursor = text.length;
  }

  /** Replaces the word in front of the cursor. */
  replaceWord(word: string, by: string): void {
    const before = this.text.slice(0, this.cursor - word.length) + by;
    this.text = before + this.text.slice(this.cursor);
    this.cursor = before.length;
  }

  /** Carries out an editing key. @returns false when it means nothing here */
  handle({ name, text }: Key): boolean {
    const { cursor } = this;
    const edit = EDITS[name];
    if (edit) edit(this);
    else if (name === "up" || name === "C-p") this.#recall(-1);
    else if (name === "down" || name === "C-n") this.#recall(1);
    else if (text !== "") {
      this.text = this.text.slice(0, cursor) + text + this.text.slice(cursor);
      this.cursor += text.length;
    } else return false;
    return true;
  }

  #recall(by: number): void {
    if (this.#at === this.#history.length) this.#typed = this.text;
    this.#at = Math.min(Math.max(0, this.#at + by), this.#history.length);
    this.set(this.#history[this.#at] ?? this.#typed);
  }
}

type Edit = (editor: CommandEditor) => void;

const toStart: Edit = (editor) => (editor.cursor = 0);
const toEnd: Edit = (editor) => (editor.cursor = editor.text.length);
const back: Edit = (editor) => (editor.cursor = Math.max(0, editor.cursor - 1));
const forward: Edit = (editor) => (editor.cursor = Math.min(editor.text.length, editor.cursor + 1));
const erase = (editor: CommandEditor, from: number, to: number) => {
  editor.text = editor.text.slice(0, from) + editor.text.slice(to);
  editor.cursor = from;
};
const eraseBack: Edit = (editor) => erase(editor, Math.max(0, editor.cursor - 1), editor.cursor);
const eraseHere: Edit = (editor) => erase(editor, editor.cursor, editor.cursor + 1);
const eraseWord: Edit = (editor) =>
  erase(editor, editor.text.slice(0, editor.cursor).replace(/\S*\s*$/, "").length, editor.cursor);

/** The keys of every line editor, by the name that KeyReader gives them. */
const EDITS: Readonly<Record<string, Edit>> = {
  ...{
    home: toStart,
    "C-a": toStart,
    end: toEnd,
    "C-e": toEnd,
    left: back,
    "C-b": back,
    right: forward,
    "C-f": forward,
  },
  ...{ backspace: eraseBack, "C-h": eraseBack, delete: eraseHere, "C-d": eraseHere, "C-w": eraseWord },
  "C-u": (editor) => erase(editor, 0, editor.cursor),
  "C-k": (editor) => (editor.text = editor.text.slice(0, editor.cursor)),
};
