import type { LineAnswer } from "../../line/line-runner";
import { ChangeTracker, type Moment, type Pane, type PaneSize } from "../pane";
import type { StyledLine } from "../styled-line";

/** The longest name, in cells. */
const NAME_WIDTH = 6;
const DIGITS: Readonly<Record<string, number>> = { CPL: 1, CS: 4, SS: 4, DS: 4, ES: 4, FS: 4, GS: 4 };
/** Intel SDM volume 1, 3.4.3. */
const FLAGS: readonly (readonly [letter: string, bit: number])[] = [
  ["O", 11],
  ["D", 10],
  ["I", 9],
  ["T", 8],
  ["S", 7],
  ["Z", 6],
  ["A", 4],
  ["P", 2],
  ["C", 0],
];
const GENERAL = ["RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP"];
const MORE = ["R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"];
const OTHERS = ["CPL", "CS", "SS", "DS", "ES", "FS", "GS", "FS_BASE", "GS_BASE", "CR0", "CR2", "CR3", "CR4"];
/** In the order in which they are shown, as far as there is room. */
const SHOWN = [...GENERAL, ...MORE, "RIP", "RFLAGS", ...OTHERS];

/** The vCPU's registers; "*" marks those that have changed since the guest was paused the last time. */
export class RegistersPane implements Pane {
  readonly name = "registers";
  title = "";
  #values: ReadonlyMap<string, string> = new Map();
  readonly #changes = new ChangeTracker();
  #error: string | undefined;
  #top = 0;

  wants(): readonly string[] {
    return ["r", "r control", "r segments"];
  }

  receive(answers: readonly LineAnswer[], moment: Moment): void {
    this.#error = answers[0]?.error;
    const all = Object.assign(
      {},
      ...answers.map((answer) => (answer.error === undefined ? answer.data : {})),
    ) as Record<string, string | undefined>;
    this.#values = new Map(SHOWN.flatMap((name) => (all[name] === undefined ? [] : [[name, all[name]]])));
    this.#changes.update(this.#values, moment);
    this.title = moment.isRunning ? "sampled" : "";
  }

  render({ width, height }: PaneSize): readonly StyledLine[] {
    if (this.#error !== undefined) return [[this.#error]];
    const rows = [...this.#values].flatMap(([name, value]) => this.#row(name, value));
    // Two columns where there is room for them.
    const columns = Math.max(1, Math.floor((width + 1) / (NAME_WIDTH + 18)));
    const perColumn = Math.ceil(rows.length / columns);
    this.#top = Math.min(this.#top, Math.max(0, perColumn - height));
    return rows
      .slice(0, perColumn)
      .map((_, at) =>
        Array.from({ length: columns }, (__, column) => rows[column * perColumn + at] ?? []).flatMap((row, column) =>
          column === 0 ? row : [" ", ...row],
        ),
      )
      .slice(this.#top, this.#top + height);
  }

  scroll(rows: number | "home" | "end"): void {
    if (rows === "home") this.#top = 0;
    else this.#top = rows === "end" ? Number.MAX_SAFE_INTEGER : Math.max(0, this.#top + rows);
  }

  #row(name: string, value: string): StyledLine[] {
    const digits = value.slice(2).padStart(DIGITS[name] ?? 16, "0");
    const shown = name.replace("_BASE", "BAS").slice(0, NAME_WIDTH).padEnd(NAME_WIDTH);
    const isChanged = this.#changes.isChanged(name);
    const row: StyledLine = isChanged
      ? [`${shown}*`, { text: digits, style: "changed" }, " ".repeat(16 - digits.length)]
      : [`${shown} ${digits.padEnd(16)}`];
    if (name !== "RFLAGS") return [row];
    const flags = FLAGS.map(([letter, bit]) => (((BigInt(value) >> BigInt(bit)) & 1n) === 1n ? letter : "-")).join("");
    return [row, [`${" ".repeat(NAME_WIDTH + 1)}${flags.padEnd(16)}`]];
  }
}
