import type { Pane, PaneSize } from "../pane";
import { type StyledLine, renderEnd, wrapLine, wrapLines } from "../styled-line";
import { ConsoleText } from "../console-text";

/** The guest's serial line: its output, and with the focus the receiver of typed text. */
export class ConsolePane implements Pane {
  readonly name = "console";
  title = "";
  /** Whether the serial line comes here. */
  isConnected = false;
  readonly #text = new ConsoleText();
  #above = 0;

  add(text: string): void {
    this.#text.write(text);
  }

  wants(): readonly string[] {
    return [];
  }

  receive(): void {
    // It shows what the guest writes.
  }

  render({ width, height }: PaneSize): readonly StyledLine[] {
    const { lines } = this.#text;
    if (!this.isConnected && lines.length === 1 && lines[0] === "") {
      return [["The serial line goes elsewhere: QEMU's arguments say where."]];
    }
    return renderEnd(lines, { width, height }, this.#above).map((line) => [line]);
  }

  scroll(rows: number | "home" | "end", { width, height }: PaneSize): void {
    const most = Math.max(0, wrapLines(this.#text.lines, width).length - height);
    if (rows === "home") this.#above = most;
    else this.#above = rows === "end" ? 0 : Math.min(most, Math.max(0, this.#above - rows));
    this.title = this.#above === 0 ? "" : `${this.#above} more below`;
  }

  /** Finds the guest's cursor, in cells of the pane; undefined when it is not shown. */
  findCursor({ width, height }: PaneSize): { readonly row: number; readonly column: number } | undefined {
    if (this.#above > 0) return undefined;
    const { lines, column } = this.#text;
    const shown = renderEnd(lines, { width, height }, 0).length;
    const rows = wrapLine(lines.at(-1) ?? "", width);
    const row = Math.max(
      0,
      rows.findLastIndex(({ start }) => start <= column),
    );
    // Behind the last column the cursor waits in that column, and before the first one in the first.
    const inRow = Math.min(width - 1, Math.max(0, column - (rows[row]?.start ?? 0)));
    return { row: Math.max(0, shown - rows.length + row), column: inRow };
  }
}
