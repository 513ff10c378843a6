import type { CallbackManager } from "../machine/callbacks/callback-manager";
import type { LinuxGuest } from "../systems/linux/linux-guest";

/** What is looked at: the guest of a living engine, a memory image, or nothing but this host. */
export type Vantage = "engine" | "image" | "host";

/** What one run of an investigation has at hand. */
export interface InvestigationContext {
  /** Aborted by a stop message, by a time-out, and when whoever asked has gone. Long work looks at it often, or awaits turn(). */
  readonly signal: AbortSignal;
  /** What is looked at. It belongs into the answer where it makes a difference. */
  readonly vantage: Vantage;
  /** Gets the guest's system. @throws AttachError with its reason, when there is none that can be read */
  getGuest(): LinuxGuest;
  /**
   * Looks at the guest without letting it go on in between. The thread that runs scripts also executes the guest, so nothing has to be
   * paused for that; the time counts as that of a pause. Of devices, such as disks that write to memory, it is not true.
   *
   * @param look returns no promise
   */
  atOneMoment<Result>(look: () => Result): Result;
  /**
   * Has the guest stand still, its devices too, while something is looked at that takes many turns; a memory image does so always. It goes on on every way out, also when
   * the run is ended meanwhile.
   *
   * @returns what look() returns
   * @throws what look() throws; the reason of the signal when the run has been ended
   */
  whilePaused<Result>(look: () => Result | Promise<Result>): Promise<Result>;
  /** For how long atOneMoment() and whilePaused() have held the guest until now, in milliseconds. It goes into the statistics as "pausedms". */
  readonly pausedMs: number;
  /** The run is ended so many milliseconds after its beginning. */
  readonly timeoutMs: number;
  /**
   * Lets others have their turn: timers, stop messages, and the guest unless it stands still. To be awaited now and then by work that
   * takes more than some milliseconds; mostly it returns at once.
   *
   * @throws the reason of the signal when the run has been ended
   */
  turn(): Promise<void>;
  /** Writes a line to the log of whoever runs investigations. */
  log(text: string): void;
  /**
   * Tells of something that somebody should look at. Alerts of persistent modules reach the log, or the module `dispatch` when it runs.
   *
   * @param level how bad it is: low, medium, high or critical
   */
  alert(level: string, text: string): void;
  /** Where a run may leave files; undefined when it may not. */
  readonly folder: string | undefined;
}

/** What a persistent module has at hand as long as it lives. */
export interface PersistentContext extends InvestigationContext {
  /** Callbacks in the guest; they go with the instance. So do breakpoints (BP), monitored processes and timers of its file. */
  readonly callbacks: CallbackManager;
  /** Has something undone when the instance ends, in whatever way. */
  own(dispose: () => void): void;
}
