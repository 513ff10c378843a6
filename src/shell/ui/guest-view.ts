import type { LineAnswer } from "../line/line-runner";
import type { SessionTarget } from "../line/session-target";
import type { Moment, Pane, PaneSize } from "./pane";

/** The shortest time between two looks at a running guest, in milliseconds. */
const SAMPLE_MS = 1000;
/** The largest part of the time that looking may take ... */
const LARGEST_PART = 1 / 100;
/** ... and the longest time between two looks, in milliseconds: on a busy host most of the time is spent waiting. */
const LONGEST_PAUSE_MS = 4000;

/** A pane on the screen. */
export interface ShownPane {
  readonly pane: Pane;
  readonly size: PaneSize;
}

/** A part of the screen that asks the guest. */
interface Asker {
  readonly pane: Pick<Pane, "wants" | "receive">;
  readonly size: PaneSize;
}

/** Keeps the panes up to date: at once when something has changed, from time to time while the guest runs. */
export class GuestView {
  #isLooking = false;
  #isStale = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param getMoment gets the present state of the guest
   * @param getShown lists the panes on the screen
   * @param onAnswers is called when the panes have received the answers
   */
  constructor(
    private readonly target: SessionTarget,
    private readonly getMoment: () => Moment,
    private readonly getShown: () => readonly Asker[],
    private readonly onAnswers: () => void,
  ) {}

  /** Looks at the guest now; during a look, once more afterwards. */
  refresh(): void {
    if (this.#isLooking) this.#isStale = true;
    else void this.#look();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    clearTimeout(this.#timer);
    const startedMs = performance.now();
    do {
      this.#isStale = false;
      const shown = this.getShown();
      const moment = this.getMoment();
      const wanted = shown.map(({ pane, size }) => pane.wants(size));
      const lines = [...new Set(wanted.flat())];
      const answers = await this.target.look(lines);
      if (this.#isClosed) return;
      const byLine = new Map(lines.map((line, index) => [line, answers[index] as LineAnswer]));
      shown.forEach(({ pane }, index) => {
        const own = wanted[index] as readonly string[];
        pane.receive(
          own.map((line) => byLine.get(line) as LineAnswer),
          moment,
        );
      });
      this.onAnswers();
    } while (this.#isStale);
    this.#isLooking = false;
    if (!this.getMoment().isRunning) return;
    // The guest executes nothing while it is looked at.
    const tookMs = performance.now() - startedMs;
    this.#timer = setTimeout(
      () => this.refresh(),
      Math.min(LONGEST_PAUSE_MS, Math.max(SAMPLE_MS, tookMs / LARGEST_PART)),
    );
  }
}
