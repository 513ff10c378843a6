import type { LineAnswer } from "../line/line-runner";
import { findData } from "./pane";
import type { Span } from "./styled-line";

/** The answer of the shell's `timeline`. */
interface Time {
  readonly instructions: number;
  /** How many the recording has. */
  readonly of: number;
  /** The furthest count that was reached. */
  readonly furthest: number;
  readonly states: readonly number[];
  readonly places: readonly number[];
  readonly hits: readonly number[];
  readonly marks: readonly { readonly name: string; readonly count: number }[];
}

/** The least width that a line of time is of use in, in cells. */
const NARROWEST = 20;

/** The second row, in a replay: the time of the recording from left to right, with marks. */
export class TimeLine {
  #time: Time | undefined;

  /** Whether the guest replays a recording. */
  get isShown(): boolean {
    return this.#time !== undefined;
  }

  wants(): readonly string[] {
    return ["timeline"];
  }

  receive([answer]: readonly LineAnswer[]): void {
    this.#time = findData(answer);
  }

  /** @param width in cells */
  render(width: number): Span[] {
    const time = this.#time;
    if (time === undefined) return [];
    const count = ` ${time.instructions} of ${time.of}`;
    const room = width - count.length - 1;
    if (room < NARROWEST) return [count.slice(1, width + 1)];
    return [" ", ...drawTime(time, room), count];
  }
}

/** Draws the time: later marks of this list stand over those before. */
function drawTime({ instructions, of, furthest, states, places, hits, marks }: Time, width: number): Span[] {
  const cellOf = (count: number) => Math.min(width - 1, Math.floor((count / Math.max(1, of)) * width));
  const cells = Array.from({ length: width }, (_, index): string => (index <= cellOf(furthest) ? "-" : "."));
  const put = (counts: readonly number[], sign: string) => {
    for (const count of counts) cells[cellOf(count)] = sign;
  };
  put(states, "=");
  put(hits, "x");
  put(places, "o");
  for (const { name, count } of marks) put([count], name.charAt(0));
  const here = cellOf(instructions);
  return [cells.slice(0, here).join(""), { text: "@", style: "reverse" }, cells.slice(here + 1).join("")];
}
