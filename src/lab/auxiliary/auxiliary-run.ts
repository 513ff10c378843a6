import type { Moment } from "../../config/moment";
import type { RunEvent } from "../../shell/line/run-feed";

/** The analysis, as an auxiliary module sees it. */
export interface AuxiliaryRun {
  /** Unique within a lab. */
  readonly id: number;
  /** The folder of this analysis alone, absolute; a module writes its results there. */
  readonly folder: string;
  /** The file that is analysed, absolute; undefined when only a command is. */
  readonly target: string | undefined;
  /** The options that were given with --options. */
  readonly options: Readonly<Record<string, string>>;
  /** Aborted when the analysis ends early. */
  readonly signal: AbortSignal;
  /**
   * Adds a line to the analysis' events.jsonl. One that is added while a value of an observation is received has the moment in which
   * the engine has reported that value, others that of the call: the record's order is the guest's.
   */
  addEvent(type: string, facts: Readonly<Record<string, unknown>>): void;
}

/** The machine, as an auxiliary module sees it. */
export interface AuxiliaryMachine {
  readonly name: string;
  readonly label: string;
  readonly platform: string;
  readonly ip: string | undefined;
  /** The network interface that its frames pass, when it has one of its own. */
  readonly interface: string | undefined;
  /** The place that the machine sends results to; undefined when it sends none. */
  readonly resultServer?: { readonly ip: string; readonly port: number } | undefined;
  /** The guest, when the machine can be looked into and runs. */
  readonly guest?: GuestHandle | undefined;
}

/** A running guest of a machine that can be looked into. All its functions end with the engine, and then throw. */
export interface GuestHandle {
  /**
   * Executes a command of the shell in the machine's engine, in a session of its own: several at once do not wait for each other.
   *
   * @param line as it is typed in the shell
   * @param signal ends the wait
   * @returns what the command answers with --json
   * @throws Error with the command's own message when it fails, or when the engine is gone
   */
  command(line: string, signal?: AbortSignal): Promise<unknown>;

  /**
   * Executes a command of QMP in the machine's QEMU: "screendump", "input-send-event".
   *
   * @param args its arguments
   * @param signal ends the wait
   * @returns what QEMU answers
   * @throws Error with QEMU's message when it refuses, or when the engine is gone
   */
  qmp(command: string, args?: object, signal?: AbortSignal): Promise<unknown>;

  /**
   * Loads a file into the engine, where its function observe() sees every event of the guest as a script does.
   *
   * @param file absolute path of a TypeScript or JavaScript file that exports observe(observer); see GuestObserver
   * @param options the file's observer.options; values that JSON has
   * @param onEvent is called with each value that the file reports, as JSON has it: bigints are text ("0x1f"); and with the moment
   *   in which it was reported, which events have that are added within the call
   * @param signal ends the observation
   * @returns the observation, once observe() has returned
   * @throws Error when the file cannot be loaded, with its place, or observe() throws, or the engine is gone
   */
  observe(
    file: string,
    options: object,
    onEvent: (event: unknown, moment: Moment) => void,
    signal?: AbortSignal,
  ): Promise<GuestObservation>;

  /**
   * Listens to the machine: its states, the lines that its scripts print, and its serial console where that comes to the engine.
   * The kept past is reported first.
   *
   * @returns what ends it
   * @throws Error when the engine is gone
   */
  watch(listener: (event: RunEvent) => void): Promise<() => void>;
}

/** A file that observes a guest from within its engine. */
export interface GuestObservation {
  /** Settles when the observation is over, also when the engine is gone. */
  readonly ended: Promise<void>;
  /** The number of its values that were left out because they came faster than they were read. */
  readonly lost: number;
  /**
   * Ends it: all that it has registered in the engine is removed.
   *
   * @returns what the function that observe() returned returns now
   * @throws Error when that fails, or when the engine is gone, or onEvent has thrown
   */
  end(signal?: AbortSignal): Promise<unknown>;
}

/** The progress of an auxiliary module in an analysis. */
export type AuxiliaryState =
  /** conf/auxiliary.conf does not enable it, or it said itself that there is nothing to do. */
  | "disabled"
  /** Its constructor, or start(), failed. */
  | "failed"
  | "started"
  /** stop() has ended, or there is none. */
  | "stopped"
  /** stop() failed or took too long. */
  | "stop-failed";

/** The entry of an auxiliary module in the record of an analysis. */
export interface AuxiliaryStatus {
  readonly name: string;
  readonly state: AuxiliaryState;
  /** The reason why it is disabled or failed. */
  readonly reason?: string | undefined;
  /** Its errors, in order; the failure of start() or stop() is among them. */
  readonly errors: readonly string[];
}

/** The log of an analysis. */
export interface AnalysisLog {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Returns a log whose lines begin with a name. */
export function prefixLog(log: AnalysisLog, name: string): AnalysisLog {
  const prefixed = (write: (message: string) => void) => (message: string) => write(`${name}: ${message}`);
  return {
    debug: prefixed((message) => log.debug(message)),
    info: prefixed((message) => log.info(message)),
    warn: prefixed((message) => log.warn(message)),
    error: prefixed((message) => log.error(message)),
  };
}
