/** The panes, in the order in which Tab goes through them. */
export const PANE_NAMES = ["registers", "code", "stack", "memory", "console", "output", "shell"] as const;
export type PaneName = (typeof PANE_NAMES)[number];

/** A place on the screen, in cells; its first row is the title. */
export interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** An area and the panes that share it: one of them is in front. */
export interface Slot extends Area {
  readonly panes: readonly PaneName[];
}

/** Of the registers: a name, a mark, 16 digits. */
const REGISTERS_WIDTH = 23;
/** From this width on there are three columns. */
const WIDE = 140;
/** From this height on memory has a place of its own in two columns. */
const HIGH = 36;
/** In smaller terminals one pane has all the room. */
const SMALLEST = { width: 60, height: 16 };
/** The status line above and the command line below. */
const OTHER_ROWS = 2;

/**
 * Divides the screen.
 *
 * @param width of the terminal, in cells
 * @param height of the terminal, in cells
 * @param isZoomed the pane in front has all the room
 * @param hasTimeLine a row below the status line is taken
 */
export function divideScreen(width: number, height: number, isZoomed: boolean, hasTimeLine = false): Slot[] {
  if (hasTimeLine) {
    return divideScreen(width, height - 1, isZoomed).map((slot) => ({ ...slot, top: slot.top + 1 }));
  }
  const rows = Math.max(1, height - OTHER_ROWS);
  if (isZoomed || width < SMALLEST.width || height < SMALLEST.height) {
    return [{ left: 0, top: 1, width, height: rows, panes: PANE_NAMES }];
  }
  const registers: Slot = { left: 0, top: 1, width: REGISTERS_WIDTH, height: rows, panes: ["registers"] };
  const left = REGISTERS_WIDTH + 1;
  if (width < WIDE) {
    const column = { left, width: width - left };
    const texts: readonly PaneName[] = ["shell", "console", "output"];
    if (height < HIGH) return [registers, ...divideColumn(column, rows, [["code"], ["stack"], [...texts, "memory"]])];
    return [registers, ...divideColumn(column, rows, [["code"], ["stack"], ["memory"], texts])];
  }
  const middle = Math.floor((width - left) / 2);
  const right = { left: left + middle + 1, width: width - left - middle - 1 };
  return [
    registers,
    ...divideColumn({ left, width: middle }, rows, [["code"], ["stack"], ["memory"]]),
    ...divideColumn(right, rows, [["shell"], ["console"], ["output"]]),
  ];
}

/** Divides a column evenly; the first ones get what is left over. */
function divideColumn(
  column: Pick<Area, "left" | "width">,
  rows: number,
  slots: readonly (readonly PaneName[])[],
): Slot[] {
  const height = Math.floor(rows / slots.length);
  let top = 1;
  return slots.map((panes, index) => {
    const slot = { ...column, top, height: height + (index < rows % slots.length ? 1 : 0), panes };
    top += slot.height;
    return slot;
  });
}
