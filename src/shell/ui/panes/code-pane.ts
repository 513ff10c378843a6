import type { LineAnswer } from "../../line/line-runner";
import { findData, type Moment, type Pane, type PaneSize } from "../pane";
import type { StyledLine } from "../styled-line";

interface CodeRow {
  readonly address: string;
  readonly symbol?: string;
  readonly bytes: string;
  readonly instruction: string;
}

interface BreakpointRow {
  readonly number: number;
  readonly type: string;
  readonly state: string;
  readonly address: string | null;
  readonly size: number;
}

/** Instructions in front of the program counter, at most. */
const MOST_BEFORE = 6;
/** Of an address and how far behind its symbol it is, in cells. */
const PLACE_WIDTH = 22;
/** From this width on the bytes of instructions are shown. */
const WIDE = 100;

/** Code around the program counter, or at a chosen address: "=>" marks the vCPU's next instruction, "*" a breakpoint, "o" a disabled one. */
export class CodePane implements Pane {
  readonly name = "code";
  title = "";
  /** The first row's address; undefined where the program counter is shown. */
  #top: string | undefined;
  #selected: string | undefined;
  #pc: string | undefined;
  #before: readonly CodeRow[] = [];
  #rows: readonly CodeRow[] = [];
  #breakpoints: readonly BreakpointRow[] = [];
  #error: string | undefined;

  wants({ height }: PaneSize): readonly string[] {
    const count = Math.max(1, height);
    const more = (2 * count).toString(16);
    const lines = ["status", "bl"];
    if (this.#top === undefined) return [...lines, "ub", `dis ${count.toString(16)}`];
    return [...lines, `ub ${this.#top}:${count.toString(16)}`, `u ${this.#top}:${more}`];
  }

  receive([status, list, before, code]: readonly LineAnswer[], { isRunning }: Moment): void {
    const { pc } = findData<{ pc?: string }>(status) ?? {};
    if (pc !== this.#pc) this.#selected = undefined;
    this.#pc = pc;
    this.#breakpoints = (findData<readonly BreakpointRow[]>(list) ?? []).filter(({ type }) => type === "execution");
    // There may be nothing in front: then it is only not shown.
    this.#before = findData(before) ?? [];
    this.#rows = findData(code) ?? [];
    this.#error = code?.error;
    const symbol = this.#rows[0]?.symbol;
    this.title = [isRunning ? "sampled" : "", symbol ?? ""].filter((part) => part !== "").join(" ");
  }

  render(size: PaneSize): readonly StyledLine[] {
    const rows = this.#visible(size);
    if (rows.length === 0) return [[this.#error ?? ""]];
    return rows.flatMap((row) => [...headerOf(row), this.#line(row, size.width)]).slice(0, size.height);
  }

  scroll(rows: number | "home" | "end", size: PaneSize): void {
    if (rows === "home") {
      this.#top = this.#selected = undefined;
      return;
    }
    const all = [...this.#before, ...this.#rows];
    const [visible] = this.#visible(size);
    if (rows === "end" || !visible) return;
    const last = all.length - 1;
    let first = all.indexOf(visible);
    let selected = all.findIndex(({ address }) => address === this.selected);
    if (Math.abs(rows) === 1) {
      // The selection moves, and the code with it at the edges.
      selected = Math.min(Math.max(0, (selected < 0 ? first : selected) + rows), last);
      first = Math.min(Math.max(first, selected - size.height + 1), selected);
    } else {
      first = selected = Math.min(Math.max(0, first + rows), last);
    }
    this.#top = all[first]?.address;
    this.#selected = all[selected]?.address;
  }

  /** Shows another place. @param address an expression of the shell, or "" for the program counter */
  goTo(address: string): void {
    this.#top = address === "" ? undefined : address;
    this.#selected = undefined;
  }

  /** The address of the row that is chosen. */
  get selected(): string | undefined {
    return this.#selected ?? (this.#top === undefined ? this.#pc : this.#rows[0]?.address);
  }

  /** The number of the breakpoint at the chosen row, if there is one. */
  get selectedBreakpoint(): number | undefined {
    return this.selected === undefined ? undefined : this.#findBreakpoint(this.selected)?.number;
  }

  #visible({ height }: PaneSize): readonly CodeRow[] {
    if (this.#top !== undefined) return this.#rows.slice(0, height);
    const count = Math.min(MOST_BEFORE, Math.floor(height / 3), this.#before.length);
    return [...this.#before.slice(this.#before.length - count), ...this.#rows].slice(0, height);
  }

  #findBreakpoint(address: string): BreakpointRow | undefined {
    const at = BigInt(address);
    return this.#breakpoints.find(({ address: from, size }) => {
      return from !== null && at >= BigInt(from) && at < BigInt(from) + BigInt(size);
    });
  }

  #line({ address, symbol = "", bytes, instruction }: CodeRow, width: number): StyledLine {
    const breakpoint = this.#findBreakpoint(address);
    const mark = breakpoint === undefined ? " " : breakpoint.state === "enabled" ? "*" : "o";
    const arrow = address === this.#pc ? "=>" : "  ";
    const offset = /\+0x([0-9a-f]+)$/.exec(symbol)?.[1];
    const place = `${address.slice(2).padStart(16, "0")} ${offset === undefined ? "" : `+${offset}`}`.padEnd(
      PLACE_WIDTH,
    );
    const isWide = width >= WIDE;
    const code = isWide ? `${bytes.slice(0, 20).padEnd(20)} ` : "";
    const text = `${mark}${arrow} ${place} ${code}${isWide ? instruction : withNames(instruction)}`;
    if (address === this.selected && address !== this.#pc) return [{ text, style: "reverse" }];
    return [address === this.#pc ? { text, style: "current" } : text];
  }
}

/** The name of the function that begins here, if one does. */
function headerOf({ symbol }: CodeRow): StyledLine[] {
  return symbol === undefined || /\+0x[0-9a-f]+$/.test(symbol) ? [] : [[`    ${symbol}:`]];
}

/** Puts the name that stands behind an instruction to where the address is that it names: there may be no room for both. */
function withNames(instruction: string): string {
  return instruction.replace(/0x[0-9a-f]+(\]?) {2}; (.+)$/, (_, bracket: string, name: string) => `${name}${bracket}`);
}
