/** The largest number of kept lines: older lines are dropped. */
const MOST_LINES = 5000;
/** The widest line, in cells; text behind that is dropped. */
const WIDEST = 1000;
/** The longest sequence, in characters: a longer one is taken for text. */
const LONGEST_SEQUENCE = 4096;
/** CSI, then strings (OSC, DCS) up to their end or what cancels them, then the others of ECMA-48, 5.3 to 5.6. */
const SEQUENCE =
  // eslint-disable-next-line no-control-regex -- sequences are made of control characters
  /^\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|(?=\x1b[^\\]))|[ -/]+[0-~]|[0-OQ-WYZ\\`-~])/;

/**
 * Lines of text out of what a guest writes to its console: carriage return, backspace and the erasing of a line take effect,
 * every other sequence is dropped. It is no terminal: programs that paint the whole screen look odd.
 */
export class ConsoleText {
  readonly #lines: string[] = [""];
  #column = 0;
  /** The beginning of a sequence whose rest has not come yet. */
  #pending = "";

  get lines(): readonly string[] {
    return this.#lines;
  }

  /** The column of the next character, in the last line. */
  get column(): number {
    return this.#column;
  }

  write(text: string): void {
    const all = this.#pending + text;
    this.#pending = "";
    for (let at = 0; at < all.length; at++) {
      const character = all[at] as string;
      if (character !== "\x1b") {
        this.#writeCharacter(character);
        continue;
      }
      const rest = all.slice(at, at + LONGEST_SEQUENCE);
      const sequence = SEQUENCE.exec(rest);
      if (sequence) {
        this.#obey(sequence);
        at += sequence[0].length - 1;
      } else if (rest.length < LONGEST_SEQUENCE) {
        this.#pending = rest;
        break;
      }
    }
    this.#lines.splice(0, this.#lines.length - MOST_LINES);
  }

  #writeCharacter(character: string): void {
    if (character === "\n") this.#lines.push("");
    else if (character === "\r") this.#column = 0;
    else if (character === "\b") this.#column = Math.max(0, this.#column - 1);
    else if (character === "\t") this.#put(" ".repeat(8 - (this.#column % 8)));
    // Others, the bell among them, take no place.
    else if (character >= " ") this.#put(character);
    if (character === "\n") this.#column = 0;
  }

  #put(text: string): void {
    if (this.#column >= WIDEST) return;
    const line = this.#last.padEnd(this.#column);
    this.#last = line.slice(0, this.#column) + text + line.slice(this.#column + text.length);
    this.#column += text.length;
  }

  #obey([, parameters = "", final]: RegExpExecArray): void {
    const count = Math.min(WIDEST, Number(/^\d+/.exec(parameters)?.[0] ?? 1));
    if (final === "K" && !/^[12]/.test(parameters)) this.#last = this.#last.slice(0, this.#column);
    else if (final === "D") this.#column = Math.max(0, this.#column - count);
    else if (final === "C") this.#column = Math.min(WIDEST, this.#column + count);
    else if (final === "G") this.#column = Math.max(0, count - 1);
    // Erasing the screen begins a new part of the text.
    else if (final === "J" && parameters.startsWith("2")) this.#writeCharacter("\n");
  }

  get #last(): string {
    return this.#lines[this.#lines.length - 1] as string;
  }

  set #last(line: string) {
    this.#lines[this.#lines.length - 1] = line;
  }
}
