import type { LineAnswer } from "../line/line-runner";
import type { PaneName } from "./layout";
import type { StyledLine } from "./styled-line";

/** Of a pane's content, in cells. */
export interface PaneSize {
  readonly width: number;
  readonly height: number;
}

/** When the guest was looked at. */
export interface Moment {
  readonly isRunning: boolean;
  /** How often the guest has been paused before. */
  readonly stops: number;
}

/** A part of the screen. It says what it wants to know of the guest, and shows that; it knows no terminal. */
export interface Pane {
  readonly name: PaneName;
  /** What stands behind its name. */
  readonly title: string;
  /** Lines of the shell whose answers it needs to fill its area. */
  wants(size: PaneSize): readonly string[];
  /** Is told the answers to what it wanted, in the same order. */
  receive(answers: readonly LineAnswer[], moment: Moment): void;
  render(size: PaneSize): readonly StyledLine[];
  /**
   * Moves what is shown.
   *
   * @param rows downward; "home" is where it stands by itself, "end" is the end
   */
  scroll(rows: number | "home" | "end", size: PaneSize): void;
}
