/** What an auxiliary module knows of its analysis. */
export interface AuxiliaryRun {
  /** Unique within a lab. */
  readonly id: number;
  /** The folder of this analysis alone, absolute; what a module leaves behind goes there. */
  readonly folder: string;
  /** The file that is analysed, absolute; undefined when only a command is. */
  readonly target: string | undefined;
  /** What --options said. */
  readonly options: Readonly<Record<string, string>>;
  /** Aborted when the analysis ends early. */
  readonly signal: AbortSignal;
  /** Adds a line to the analysis' events.jsonl. */
  addEvent(type: string, facts: Readonly<Record<string, unknown>>): void;
}

/** What an auxiliary module knows of its machine. */
export interface AuxiliaryMachine {
  readonly name: string;
  readonly label: string;
  readonly platform: string;
  readonly ip: string | undefined;
  /** The network interface that its frames pass, when it has one of its own. */
  readonly interface: string | undefined;
  /** Where the machine sends results to, when it does. */
  readonly resultServer?: { readonly ip: string; readonly port: number } | undefined;
  /** The guest, when the machine can be looked into and runs. */
  readonly guest?: GuestHandle | undefined;
}

/** A running guest of a machine that can be looked into. */
export interface GuestHandle {
  /**
   * Executes a command of the shell in the machine's engine.
   *
   * @param line as it is typed in the shell
   * @param signal ends the wait
   * @returns what the command answers with --json
   * @throws Error with the command's own message when it fails, or when the engine is gone
   */
  command(line: string, signal?: AbortSignal): Promise<unknown>;
}
