import type { z } from "zod";
import { callWithin } from "../config/limits";
import { checkParameters } from "./check-parameters";
import { describeFailure } from "./describe-failure";
import type { InvestigationContext } from "./investigation-context";
import { parseMessage, readInputParameters } from "./investigation-message";
import type { InvestigationRun, MessageInput } from "./investigation-module";
import { createFailure, encodeResult, type InvestigationResult } from "./investigation-result";
import { MessageReader } from "./message-reader";
import { StoppableContext } from "./stoppable-context";

/** What a module's work comes to. */
export interface Findings<E = unknown, S = unknown> {
  /** At least one instance of what was looked for was found. */
  readonly found: boolean;
  readonly elements: E;
  /** "pausedms" is added. */
  readonly statistics: S;
  /** What did not prevent the end. */
  readonly errors?: readonly string[] | undefined;
}

/** What a stop message ends a run with (seed 003, 2.3). */
export const STOPPED = "stop message received, terminating early";

/**
 * The base class of one run of an investigation module: it reads and checks the parameters, ends at a stop message, and makes a result
 * of whatever happens. What a run knows belongs into its members: several runs of a module may go on at once.
 */
export abstract class Investigation<P, E = unknown, S = unknown> implements InvestigationRun {
  /** What parameters may be; use z.strictObject(), so that a misspelt name is an error. */
  protected abstract readonly schema: z.ZodType<P>;

  /** The parameters; set before validateParameters() and investigate() are called. */
  parameters!: P;

  /** Its signal is aborted by the stop message, too. */
  protected readonly context: InvestigationContext;

  readonly #stop = new AbortController();

  constructor(context: InvestigationContext) {
    this.context = new StoppableContext(context, this.#stop.signal);
  }

  validateParameters(): void {
    // What the schema says is enough for many.
  }

  /**
   * Does the work. It runs in the thread that executes the guest: it should be short, or await context.turn() now and then.
   *
   * @throws whatever makes the run a failure; its message is the result's only error
   */
  protected abstract investigate(): Promise<Findings<E, S>> | Findings<E, S>;

  /**
   * Checks parameters and keeps them, for paramsParser() and paramsCreator().
   *
   * @returns the parameters with the schema's defaults
   * @throws Error saying what is wrong
   */
  protected accept(parameters: unknown): P {
    this.parameters = checkParameters(this.schema, parameters);
    this.validateParameters();
    return this.parameters;
  }

  async run(input: MessageInput): Promise<string> {
    const reader = new MessageReader(input);
    try {
      this.accept(readInputParameters(await reader.next()));
      const findings = await this.#work(reader);
      return encodeResult(this.#createResult(findings));
    } catch (error) {
      return encodeResult(createFailure(describeFailure(error)));
    }
  }

  /** Races the work with what may end it. The work itself notices by its signal; what it comes to later is nobody's. */
  async #work(reader: MessageReader): Promise<Findings<E, S>> {
    const { signal } = this.context;
    let onAbort: (() => void) | undefined;
    const ended = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
    void watchForStop(reader).then((isStop) => isStop && this.#stop.abort(new Error(STOPPED)));
    try {
      return await Promise.race([ended, this.#begin()]);
    } finally {
      if (onAbort) signal.removeEventListener("abort", onAbort);
    }
  }

  async #begin(): Promise<Findings<E, S>> {
    this.context.signal.throwIfAborted();
    // Only what runs before the first await can be cut off; see docs/guides/investigations.md.
    return callWithin(Math.max(1, Math.ceil(this.context.timeoutMs)), () => this.investigate());
  }

  #createResult({ found, elements, statistics, errors = [] }: Findings<E, S>): InvestigationResult {
    return {
      foundanything: found,
      success: true,
      elements,
      statistics: { ...statistics, pausedms: Math.round(this.context.pausedMs * 1000) / 1000 },
      errors: errors.length === 0 ? null : errors,
    };
  }
}

/** Reads until a stop message. The end of the input, and lines that are something else, are no reason to stop. */
async function watchForStop(reader: MessageReader): Promise<boolean> {
  try {
    for (let line = await reader.next(); line !== undefined; line = await reader.next()) {
      if (isStop(line)) return true;
    }
  } catch {
    // Nothing more can be read: nobody can stop it this way.
  }
  return false;
}

function isStop(line: string): boolean {
  try {
    return parseMessage(line).class === "stop";
  } catch {
    return false;
  }
}
