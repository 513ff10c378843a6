import type { LineAnswer } from "../../line/line-runner";
import { findData, ChangeTracker, type Moment, type Pane, type PaneSize } from "../pane";
import type { StyledLine } from "../styled-line";

interface Words {
  readonly address: string;
  readonly width: number;
  readonly values: readonly (string | null)[];
  readonly names: readonly (string | null)[];
}

/** The words of the stack, with the names of the code and data that they point to; "*" marks those that have changed. */
export class StackPane implements Pane {
  readonly name = "stack";
  title = "";
  /** Of the first word behind the stack pointer, in words. */
  #top = 0;
  #words: Words | undefined;
  #error: string | undefined;
  readonly #changes = new ChangeTracker();

  wants({ height }: PaneSize): readonly string[] {
    const offset = (this.#top * (this.#words?.width ?? 8)).toString(16).replace(/^(-?)/, (sign) => sign || "+");
    return [`dp rsp${offset}:${Math.max(1, height).toString(16)}`];
  }

  receive([words]: readonly LineAnswer[], moment: Moment): void {
    this.#words = findData(words);
    this.#error = words?.error;
    const values = new Map(
      (this.#words?.values ?? []).map((value, index) => [this.#addressOf(index).toString(16), value ?? "??"]),
    );
    this.#changes.update(values, moment);
    this.title = [moment.isRunning ? "sampled" : "", this.#words?.address ?? ""].join(" ").trim();
  }

  render({ height }: PaneSize): readonly StyledLine[] {
    if (!this.#words) return [[this.#error ?? ""]];
    const { values, names, width } = this.#words;
    return values.slice(0, height).map((value, index) => {
      const offset = (this.#top + index) * width;
      const sign = offset < 0 ? "-" : "+";
      const place = `${sign}${Math.abs(offset).toString(16).padStart(3, "0")}`;
      const digits = value === null ? "?".repeat(width * 2) : value.slice(2).padStart(width * 2, "0");
      const name = names[index] ?? "";
      if (!this.#changes.isChanged(this.#addressOf(index).toString(16))) return [`${place}  ${digits} ${name}`];
      return [`${place} *`, { text: digits, style: "changed" }, ` ${name}`];
    });
  }

  scroll(rows: number | "home" | "end"): void {
    this.#top = rows === "home" ? 0 : rows === "end" ? this.#top : this.#top + rows;
  }

  #addressOf(index: number): bigint {
    return BigInt(this.#words?.address ?? 0) + BigInt(index * (this.#words?.width ?? 8));
  }
}
