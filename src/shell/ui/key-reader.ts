import { emitKeypressEvents, type Key as RawKey } from "node:readline";
import type { ReadStream } from "node:tty";

/** A key that was pressed. */
export interface Key {
  /** "C-" with Ctrl, "M-" with Alt or behind Esc, "S-" with Shift: "f5", "M-s", "C-o", "S-tab", "a". */
  readonly name: string;
  /** The text that it types; "" for none. */
  readonly text: string;
  /** The sequence that the terminal has sent. */
  readonly sequence: string;
}

/** Reads keys from a terminal, which is in raw mode as long as this is open. */
export class KeyReader {
  #isBehindEscape = false;
  #onRawKey: (text: string | undefined, key: RawKey) => void;

  constructor(
    private readonly input: ReadStream,
    onKey: (key: Key) => void,
  ) {
    this.#onRawKey = (text, key) => {
      // Esc alone, then another key: what a terminal without Alt has instead of it.
      const isBehindEscape = this.#isBehindEscape;
      this.#isBehindEscape = key.name === "escape" && !isBehindEscape;
      if (!this.#isBehindEscape) onKey(describe(text ?? "", key, isBehindEscape));
    };
    emitKeypressEvents(input);
    input.on("keypress", this.#onRawKey);
    this.resume();
  }

  /** Takes the terminal, again after the process was stopped. */
  resume(): void {
    this.input.setRawMode(true);
    this.input.resume();
  }

  /** Gives the terminal back as it was. */
  close(): void {
    this.input.off("keypress", this.#onRawKey);
    this.input.setRawMode(false);
    this.input.pause();
  }
}

function describe(text: string, key: RawKey, isBehindEscape: boolean): Key {
  const { sequence = text, name: known } = key;
  const isMeta = key.meta === true || isBehindEscape;
  const isPrintable = text !== "" && text >= " " && text !== "\x7f" && !isMeta && key.ctrl !== true;
  const base = known ?? (sequence.startsWith("\x1b") ? sequence.slice(1) : sequence);
  const isShifted = key.shift === true && base.length > 1;
  const name = `${key.ctrl === true ? "C-" : ""}${isMeta ? "M-" : ""}${isShifted ? "S-" : ""}${base}`;
  return { name: isPrintable ? text : name, text: isPrintable ? text : "", sequence };
}
