import type { LineAnswer } from "../../line/line-runner";
import { findData, ChangeTracker, type Moment, type Pane, type PaneSize } from "../pane";
import type { Span, StyledLine } from "../styled-line";

interface Bytes {
  readonly address: string;
  readonly values: readonly (string | null)[];
}

/** Of an address and the blanks behind it, in cells. */
const ADDRESS_WIDTH = 18;
/** Of a byte: two digits, a mark or blank, and its character. */
const BYTE_WIDTH = 4;

/** Memory at a chosen address; "*" marks bytes that have changed. */
export class MemoryPane implements Pane {
  readonly name = "memory";
  title = "";
  /** The first address, as a user of the shell writes it. */
  #place = "rip";
  /** Of the first byte behind that, in rows. */
  #top = 0;
  #bytes: Bytes | undefined;
  #error: string | undefined;
  readonly #changes = new ChangeTracker();

  /** Shows another place. @param place an address as users of the shell write it */
  goTo(place: string): void {
    this.#place = place;
    this.#top = 0;
  }

  wants(size: PaneSize): readonly string[] {
    const perRow = countBytes(size);
    const offset = this.#top * perRow;
    const shift = offset === 0 ? "" : `${offset < 0 ? "-" : "+"}${Math.abs(offset).toString(16)}`;
    return [`db ${this.#place}${shift}:${(Math.max(1, size.height) * perRow).toString(16)}`];
  }

  receive([answer]: readonly LineAnswer[], moment: Moment): void {
    this.#bytes = findData(answer);
    this.#error = answer?.error;
    const values = new Map(
      (this.#bytes?.values ?? []).map((value, index) => [this.#addressOf(index).toString(16), value ?? "??"]),
    );
    this.#changes.update(values, moment);
    this.title = [moment.isRunning ? "sampled" : "", this.#place].join(" ").trim();
  }

  render(size: PaneSize): readonly StyledLine[] {
    if (!this.#bytes) return [[this.#error ?? ""]];
    const perRow = countBytes(size);
    const { values } = this.#bytes;
    return Array.from({ length: Math.min(size.height, Math.ceil(values.length / perRow)) }, (_, row) => {
      const from = row * perRow;
      const bytes = values.slice(from, from + perRow);
      const cells = bytes.flatMap((value, index): Span[] => {
        const text = value === null ? "??" : value.slice(2).padStart(2, "0");
        const isChanged = this.#changes.isChanged(this.#addressOf(from + index).toString(16));
        return isChanged ? ["*", { text, style: "changed" }] : [` ${text}`];
      });
      const place = this.#addressOf(from).toString(16).padStart(16, "0");
      return [`${place} `, ...cells, ` ${bytes.map(toCharacter).join("")}`];
    });
  }

  scroll(rows: number | "home" | "end"): void {
    this.#top = rows === "home" ? 0 : rows === "end" ? this.#top : this.#top + rows;
  }

  #addressOf(index: number): bigint {
    return BigInt.asUintN(64, BigInt(this.#bytes?.address ?? 0) + BigInt(index));
  }
}

/** How many bytes a row holds: 4, 8, 16 or 32. */
function countBytes({ width }: PaneSize): number {
  return [32, 16, 8].find((count) => ADDRESS_WIDTH + count * BYTE_WIDTH <= width) ?? 4;
}

/** Shows printable ASCII; everything else is a dot. */
function toCharacter(value: string | null): string {
  const code = value === null ? 0 : Number(value);
  return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : value === null ? "?" : ".";
}
