import type { CallbackManager } from "../machine/callbacks/callback-manager";
import type { LinuxGuest } from "../systems/linux/linux-guest";
import type { ParameterSchema } from "./parameters";
import type { InvestigationResult } from "./result";

/** The input of a run: lines of JSON, cut at any place. */
export type MessageInput = AsyncIterable<string | Uint8Array>;

/** Asks a person for parameters, at a terminal. */
export interface ParameterPrompt {
  /** Shows a text and reads one line, without the blanks around it. @returns undefined at the end of the input */
  ask(question: string): Promise<string | undefined>;
  /** Shows a line. */
  tell(text: string): void;
}

/** One run of a module: MIG's interface Runner, and the interfaces that a module of MIG may have besides. */
export interface InvestigationRun {
  /**
   * Reads one line, the parameters, and does the module's work; a later line with a stop message ends it early.
   *
   * @returns the result as one line of JSON; it does not reject
   */
  run(input: MessageInput): Promise<string>;

  /** Checks everything that the types of the parameters do not say. @throws Error with the problem */
  validateParameters(): void;

  /**
   * Writes a result for people, one text for each line. Text of the guest needs no care: the caller escapes everything that could
   * steer a terminal.
   *
   * @param foundOnly leaves out errors, statistics and empty results
   */
  printResults?(result: InvestigationResult, foundOnly: boolean): string[];

  /** Asks a person for parameters. @throws UsageShown when the person gives up */
  paramsCreator?(prompt: ParameterPrompt): Promise<unknown>;

  /**
   * Makes parameters from the words of a command line: -path /etc -name passwd
   *
   * @throws UsageShown for "help", with the help
   * @throws Error for words that mean nothing
   */
  paramsParser?(args: readonly string[]): unknown;

  /** Describes the parameters, for forms. */
  describeParameters?(): ParameterSchema;

  /** Masks everything that privacy mode keeps back. */
  enhancePrivacy?(result: InvestigationResult): InvestigationResult;
}

/** A persistent module at work: MIG's interface RunPersist. Its queries use its functions for parameters and results. */
export interface PersistentRun extends Pick<
  InvestigationRun,
  "printResults" | "paramsCreator" | "paramsParser" | "describeParameters" | "enhancePrivacy"
> {
  /**
   * Works until the input ends. The first message is {"class":"config","parameters":…}. Each later {"class":"ping"} is answered
   * by the same message, each {"class":"parameters","id":N,"parameters":…} by {"class":"result","id":N,"result":…}.
   *
   * @param write sends a message: register as soon as queries may come, then ping, result, log or alert. Any other message ends
   *   the instance.
   * @throws any error ends the instance, which is then started again
   */
  runPersist(input: MessageInput, write: (line: string) => void): Promise<void>;
}

/** A module: MIG's interface Moduler. State of a run belongs in the run, since several runs may be active at once. */
export interface InvestigationModule {
  /** Makes a run. A persistent module does not need this: its instance answers. */
  newRun?(context: InvestigationContext): InvestigationRun;
  /** Makes the instance of a persistent module. It starts with the engine. */
  newPersistentRun?(context: PersistentContext): PersistentRun;
}

/** Makes a run: the short form of a module. */
export type InvestigationFactory = (context: InvestigationContext) => InvestigationRun;

/** The object of an investigation: the guest of a running engine, a memory image, or this host alone. */
export type Vantage = "engine" | "image" | "host";

/** Everything that one run of an investigation can use. */
export interface InvestigationContext {
  /** Aborted by a stop message, by a time-out, and when the caller has gone. Long work checks it often, or awaits turn(). */
  readonly signal: AbortSignal;
  /** The object of the investigation. It belongs in the answer where it makes a difference. */
  readonly vantage: Vantage;
  /** Gets the guest's system. @throws AttachError with the reason when no system can be read */
  getGuest(): LinuxGuest;
  /**
   * Looks at the guest while it does not execute. The thread that runs scripts also executes the guest, so nothing has to be
   * paused; the time counts as a pause. Devices continue: a disk may still write to memory.
   *
   * @param look returns no promise
   */
  atOneMoment<Result>(look: () => Result): Result;
  /**
   * Pauses the guest and its devices for work that takes many turns; a memory image is always paused. The guest continues on
   * every way out, also when the run is ended in the meantime.
   *
   * @returns the value of look()
   * @throws the error of look(); the reason of the signal when the run has been ended
   */
  whilePaused<Result>(look: () => Result | Promise<Result>): Promise<Result>;
  /** The time for which atOneMoment() and whilePaused() have held the guest so far, in milliseconds: "pausedms" of the statistics. */
  readonly pausedMs: number;
  /** The time limit of the run, in milliseconds from its beginning. */
  readonly timeoutMs: number;
  /**
   * Yields to timers, stop messages, and the guest unless it is paused. Work that takes more than some milliseconds awaits this
   * now and then; most calls return at once.
   *
   * @throws the reason of the signal when the run has been ended
   */
  turn(): Promise<void>;
  /** Writes a line to the log of the run. */
  log(text: string): void;
  /**
   * Reports something that a person should look at. Alerts of persistent modules reach the log, or the module `dispatch` when it runs.
   *
   * @param level the severity: low, medium, high or critical
   */
  alert(level: string, text: string): void;
  /** The folder in which a run may leave files; undefined when it may leave none. */
  readonly folder: string | undefined;
}

/** Everything that a persistent module can use during its life. */
export interface PersistentContext extends InvestigationContext {
  /** Callbacks in the guest. They end with the instance, as do breakpoints (BP), monitored processes and timers of its file. */
  readonly callbacks: CallbackManager;
  /** Registers a function that undoes something when the instance ends, in any way. */
  own(dispose: () => void): void;
}
