import type { ShownPane } from "./guest-view";
import { divideScreen, PANE_NAMES, type PaneName, type Slot } from "./layout";
import type { Pane, PaneSize } from "./pane";
import { renderLine, type Span } from "./styled-line";
import type { UiScreen } from "./ui-screen";

/** The receiver of the keys: the command line or a pane. */
export type Focus = "line" | PaneName;

/** The panes on the screen: their places, the order of panes that share a place, and the focus. */
export class PaneDesk {
  focus: Focus = "line";
  #slots: readonly Slot[] = [];
  #isZoomed = false;
  #hasTimeLine = false;
  /** The panes that were chosen, the last one at the end: of those that share a place, that is in front. */
  readonly #chosen: PaneName[] = [...PANE_NAMES];

  constructor(
    private readonly panes: Readonly<Record<PaneName, Pane>>,
    private readonly screen: UiScreen,
  ) {}

  /** Divides the screen anew. */
  arrange(): void {
    this.#slots = divideScreen(this.screen.width, this.screen.height, this.#isZoomed, this.#hasTimeLine);
  }

  /** Makes room for a line of time, or gives it back. @returns whether the places are others now */
  makeRoomForTime(hasTimeLine: boolean): boolean {
    if (hasTimeLine === this.#hasTimeLine) return false;
    this.#hasTimeLine = hasTimeLine;
    this.arrange();
    return true;
  }

  /** Lists the panes on the screen, with the room for their content. */
  list(): ShownPane[] {
    return this.#slots.map((slot) => ({ pane: this.panes[this.#frontOf(slot)], size: contentOf(slot) }));
  }

  /** Gives a pane, or the command line, the focus; a pane comes to the front. */
  choose(focus: Focus): void {
    this.focus = focus;
    const name = focus === "line" ? "shell" : focus;
    this.#chosen.splice(this.#chosen.indexOf(name), 1);
    this.#chosen.push(name);
  }

  /** Gives the focus to the next one, or the one before; the command line is one of them. */
  chooseNext(by: 1 | -1): void {
    const all: readonly Focus[] = [...PANE_NAMES, "line"];
    this.choose(all[(all.indexOf(this.focus) + by + all.length) % all.length] as Focus);
  }

  /** Gives the pane in focus all the room, or the others theirs back. */
  toggleZoom(): void {
    this.#isZoomed = !this.#isZoomed;
    this.arrange();
  }

  /** Finds the room of a pane that is on the screen. */
  findSize(name: PaneName): PaneSize | undefined {
    return this.list().find(({ pane }) => pane.name === name)?.size;
  }

  /** Finds where the content of a pane begins on the screen, if it is there. */
  findPlace(name: PaneName): { readonly row: number; readonly column: number } | undefined {
    const slot = this.#slots.find((one) => this.#frontOf(one) === name);
    return slot && { row: slot.top + 1, column: slot.left };
  }

  /** Puts all panes on the screen. */
  draw(): void {
    const fronts = new Map(this.#slots.map((slot) => [this.#frontOf(slot), slot]));
    for (const name of PANE_NAMES) {
      const slot = fronts.get(name);
      if (!slot) {
        this.screen.hide(name);
        continue;
      }
      const size = contentOf(slot);
      const rows = this.panes[name].render(size).map((line) => renderLine(line, size.width));
      this.screen.show(name, slot, [renderLine(this.#title(slot, name), slot.width), ...rows]);
    }
  }

  #frontOf({ panes }: Slot): PaneName {
    return this.#chosen.findLast((name) => panes.includes(name)) as PaneName;
  }

  /** Writes the names of the panes of a place with their numbers, then the title of the one in front. */
  #title({ panes, width }: Slot, front: PaneName): Span[] {
    const hasFocus = this.focus === front;
    const all = panes.map((name) => (name === front ? `[${labelOf(name)}]` : ` ${labelOf(name)} `)).join("");
    const names = all.length <= width ? all : `[${labelOf(front)}]`;
    const { title } = this.panes[front];
    const text = `${names}${title === "" ? "" : ` ${title}`} `;
    return [{ text: text.padEnd(width, "-").slice(0, width), style: hasFocus ? "reverse" : "bold" }];
  }
}

function labelOf(name: PaneName): string {
  return `${PANE_NAMES.indexOf(name) + 1} ${name}`;
}

function contentOf({ width, height }: Slot): PaneSize {
  return { width, height: height - 1 };
}
