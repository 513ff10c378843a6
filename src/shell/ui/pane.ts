import type { LineAnswer } from "../line/line-runner";
import type { PaneName } from "./layout";
import type { StyledLine } from "./styled-line";

/** The size of a pane's content, in cells. */
export interface PaneSize {
  readonly width: number;
  readonly height: number;
}

/** The state of the guest at a look. */
export interface Moment {
  readonly isRunning: boolean;
  /** How many times the guest has been paused before. */
  readonly stops: number;
}

/** A part of the screen. It names the lines whose answers it needs, and shows them; it knows no terminal. */
export interface Pane {
  readonly name: PaneName;
  /** The text behind its name. */
  readonly title: string;
  /** Lines of the shell whose answers it needs to fill its area. */
  wants(size: PaneSize): readonly string[];
  /** Takes the answers to its lines, in the same order. */
  receive(answers: readonly LineAnswer[], moment: Moment): void;
  render(size: PaneSize): readonly StyledLine[];
  /**
   * Moves the content.
   *
   * @param rows the distance downward; "home" is the default place, "end" is the end
   */
  scroll(rows: number | "home" | "end", size: PaneSize): void;
}

/** Returns the data of a line's answer; undefined when the line failed. */
export function findData<Data>(answer: LineAnswer | undefined): Data | undefined {
  return answer?.error === undefined ? (answer?.data as Data | undefined) : undefined;
}

/** Finds the values that have changed since the guest was paused the last time. */
export class ChangeTracker {
  #before: ReadonlyMap<string, string> = new Map();
  #now: ReadonlyMap<string, string> = new Map();
  #stops = -1;
  #isRunning = false;

  /** Takes the values of a moment. Those of a running guest change all the time, so they are not compared. */
  update(values: ReadonlyMap<string, string>, { isRunning, stops }: Moment): void {
    this.#isRunning = isRunning;
    if (isRunning) return;
    if (stops !== this.#stops) {
      this.#before = this.#now;
      this.#stops = stops;
    }
    this.#now = values;
  }

  isChanged(name: string): boolean {
    if (this.#isRunning) return false;
    const before = this.#before.get(name);
    return before !== undefined && before !== this.#now.get(name);
  }
}
