/** What the panes of the terminal UI show, read from the rows of a screen. */
export interface ShownGuest {
  readonly registers: ReadonlyMap<string, bigint>;
  /** The registers that are marked. */
  readonly changed: readonly string[];
  readonly code: readonly { readonly address: bigint; readonly isCurrent: boolean; readonly breakpoint: string }[];
  readonly stack: readonly { readonly value: bigint; readonly isChanged: boolean; readonly name: string }[];
  readonly memory: readonly { readonly address: bigint; readonly bytes: readonly number[] }[];
}

/** The title of a place: names with numbers, that of the pane in front in brackets. */
const TITLE = /^(?: \d [a-z]+ )*\[\d ([a-z]+)\]/;
const REGISTERS_WIDTH = 23;

const hex = (digits: string) => BigInt(`0x${digits}`);

/** Divides a screen into its panes, by their titles. @returns the rows of each */
export function readTexts(rows: readonly string[], width: number): ReadonlyMap<string, readonly string[]> {
  const rest = width - REGISTERS_WIDTH - 1;
  const middle = REGISTERS_WIDTH + 1 + Math.floor(rest / 2);
  const isZoomed = TITLE.test(rows[1] ?? "") && !/\[1 reg/.test(rows[1] ?? "");
  const edges = width < 140 ? [REGISTERS_WIDTH + 1] : [REGISTERS_WIDTH + 1, middle + 1];
  const columns = isZoomed
    ? [[0, width]]
    : [0, ...edges].map((from, index, all) => [from, (all[index + 1] ?? width + 1) - 1]);
  const panes = new Map<string, string[]>();
  for (const [from, to] of columns) {
    let lines: string[] = [];
    for (const row of rows.slice(1, -1)) {
      const part = row.padEnd(width).slice(from, to);
      const title = TITLE.exec(part)?.[1];
      if (title === undefined) lines.push(part.trimEnd());
      else panes.set(title, (lines = []));
    }
  }
  return panes;
}

/** Reads what the panes show of the guest; one that is not there gives nothing. */
export function readScreen(rows: readonly string[], width: number): ShownGuest {
  const panes = readTexts(rows, width);
  const find = (pane: string, expression: RegExp) =>
    (panes.get(pane) ?? []).map((row) => expression.exec(row)).filter((match) => match !== null);
  const registers = find("registers", /^([A-Z0-9]+) *([ *])([0-9a-f]{1,16})\b/);
  return {
    registers: new Map(registers.map(([, name, , digits]) => [name!, hex(digits!)])),
    changed: registers.filter(([, , mark]) => mark === "*").map(([, name]) => name!),
    code: find("code", /^([ *o])(=>| {2}) ([0-9a-f]{16}) /).map(([, mark, arrow, digits]) => ({
      address: hex(digits!),
      isCurrent: arrow === "=>",
      breakpoint: mark!.trim(),
    })),
    stack: find("stack", /^[+-][0-9a-f]+ ([ *])([0-9a-f]{16})(?: (\S+))?/).map(([, mark, digits, name = ""]) => ({
      ...{ value: hex(digits!), isChanged: mark === "*", name },
    })),
    memory: find("memory", /^([0-9a-f]{16}) ((?:[ *][0-9a-f]{2})+) /).map(([, digits, bytes]) => ({
      address: hex(digits!),
      bytes: bytes!.match(/[0-9a-f]{2}/g)!.map((byte) => Number.parseInt(byte, 16)),
    })),
  };
}
