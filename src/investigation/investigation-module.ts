import type { InvestigationContext, PersistentContext } from "./investigation-context";
import type { InvestigationResult } from "./investigation-result";

/** What a run reads: lines of JSON, cut at any place. */
export type MessageInput = AsyncIterable<string | Uint8Array>;

/** Asks a person for parameters, at a terminal. */
export interface ParameterPrompt {
  /** Shows a text and reads one line, without the blanks around it; undefined at the end of the input. */
  ask(question: string): Promise<string | undefined>;
  /** Shows a line. */
  tell(text: string): void;
}

/** One run of a module (seed 003: Runner, and the interfaces that a module may have besides). */
export interface InvestigationRun {
  /**
   * Reads one line, the parameters, and does the module's work; a later line with a stop message ends it early.
   *
   * @returns the result as one line of JSON; it does not reject
   */
  run(input: MessageInput): Promise<string>;

  /** Checks what the types of the parameters do not say. @throws Error saying what is wrong */
  validateParameters(): void;

  /**
   * Writes a result for people, one text for each line. Text of the guest needs no care: what could steer a terminal is escaped
   * when it is shown.
   *
   * @param foundOnly leaves out errors, statistics and empty results
   */
  printResults?(result: InvestigationResult, foundOnly: boolean): string[];

  /** Asks for parameters. @throws UsageShown when the person gives up */
  paramsCreator?(prompt: ParameterPrompt): Promise<unknown>;

  /**
   * Makes parameters of a command line's words: -path /etc -name passwd
   *
   * @throws UsageShown for "help", with the help; Error for words that mean nothing
   */
  paramsParser?(args: readonly string[]): unknown;

  /** Masks what privacy mode is to keep back. */
  enhancePrivacy?(result: InvestigationResult): InvestigationResult;
}

/** A persistent module at work (seed 003: RunPersist). What it can do with parameters and results is that of its queries. */
export interface PersistentRun extends Pick<
  InvestigationRun,
  "printResults" | "paramsCreator" | "paramsParser" | "enhancePrivacy"
> {
  /**
   * Works until the input ends. First there comes {"class":"config","parameters":…}; then {"class":"ping"}, each to be answered
   * by the same, and {"class":"parameters","id":N,"parameters":…}, to be answered by {"class":"result","id":N,"result":…}.
   *
   * @param write sends a message: register, once queries may come; ping, result, log or alert. Another one ends the instance.
   * @throws whatever ends the instance; it is started again then
   */
  runPersist(input: MessageInput, write: (line: string) => void): Promise<void>;
}

/** A module (seed 003: Moduler). What belongs to a run belongs into the run: several may go on at once. */
export interface InvestigationModule {
  /** Makes a run. A persistent module needs none: its instance answers. */
  newRun?(context: InvestigationContext): InvestigationRun;
  /** Makes the instance of a persistent module, which starts with the engine. */
  newPersistentRun?(context: PersistentContext): PersistentRun;
}

/** Makes a run; the short form of a module. */
export type InvestigationFactory = (context: InvestigationContext) => InvestigationRun;
