import type { PaneName } from "../layout";
import type { Pane, PaneSize } from "../pane";
import { type StyledLine, renderEnd, wrapLines } from "../styled-line";

/** The largest number of lines that a pane keeps: older lines are dropped. */
const MOST_LINES = 10_000;
/** A longer line is cut, in UTF-16 units. */
const LONGEST_LINE = 8192;

/** Text that grows at its end; long lines are continued in the next row. It shows the end until it is scrolled up. */
export class TextPane implements Pane {
  title = "";
  readonly #lines: string[] = [];
  /** The number of rows of text below the visible ones. */
  #below = 0;
  /** Text behind the last line feed. */
  #open = "";

  constructor(readonly name: PaneName) {}

  /** Adds text; its last line may be continued later. */
  add(text: string): void {
    const [first = "", ...more] = text.replace(/\r\n?/g, "\n").split("\n");
    this.#open = (this.#open + first).slice(0, LONGEST_LINE);
    for (const line of more) {
      this.#lines.push(this.#open);
      this.#open = line.slice(0, LONGEST_LINE);
    }
    this.#lines.splice(0, this.#lines.length - MOST_LINES);
  }

  wants(): readonly string[] {
    return [];
  }

  receive(): void {
    // Others add its text.
  }

  render(size: PaneSize): readonly StyledLine[] {
    return renderEnd(this.#all(), size, this.#below).map((line) => [line]);
  }

  scroll(rows: number | "home" | "end", size: PaneSize): void {
    const most = Math.max(0, wrapLines(this.#all(), size.width).length - size.height);
    if (rows === "home") this.#below = most;
    else this.#below = rows === "end" ? 0 : Math.min(most, Math.max(0, this.#below - rows));
    this.title = this.#below === 0 ? "" : `${this.#below} more below`;
  }

  #all(): readonly string[] {
    return this.#open === "" ? this.#lines : [...this.#lines, this.#open];
  }
}
