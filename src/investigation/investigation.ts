import type { z } from "zod";
import { callWithin } from "../config/limits";
import { checkParameters, type ParameterSchema, toParameterSchema } from "./parameters";
import { describeFailure, createFailure, encodeResult, type InvestigationResult } from "./result";
import type { InvestigationContext, InvestigationRun, MessageInput } from "./module";
import { MessageReader, readInputParameters, readUntilStop } from "./messages";
import { StoppableContext } from "./context";
import { RunEndedError } from "./errors";

/** The findings of an investigation. */
export interface Findings<E = unknown, S = unknown> {
  /** Whether at least one of the wanted things was found. */
  readonly found: boolean;
  readonly elements: E;
  /** Counts and times of the run; "pausedms" is added. */
  readonly statistics: S;
  /** Problems that did not prevent the end. */
  readonly errors?: readonly string[] | undefined;
}

/** The error of a run that a stop message has ended; the sentence is MIG's. */
export const STOPPED = "stop message received, terminating early";

/**
 * The base class of one run of an investigation module: it reads and checks the parameters, ends at a stop message, and turns every
 * outcome into a result. State of a run belongs in its members, since several runs of a module may be active at once.
 */
export abstract class Investigation<P, E = unknown, S = unknown> implements InvestigationRun {
  /** The schema of the parameters; use z.strictObject(), so that a misspelt name is an error. */
  protected abstract readonly schema: z.ZodType<P>;

  /** The parameters; set before validateParameters() and investigate() are called. */
  parameters!: P;

  /** The context of the run. Its signal is aborted by the stop message, too. */
  protected readonly context: InvestigationContext;

  readonly #stop = new AbortController();

  constructor(context: InvestigationContext) {
    this.context = new StoppableContext(context, this.#stop.signal);
  }

  validateParameters(): void {
    // The schema is enough for many modules.
  }

  /**
   * Does the work. It runs in the thread that executes the guest, so it should be short, or await context.turn() now and then.
   *
   * @throws any error makes the run a failure; its message is the result's only error
   */
  protected abstract investigate(): Promise<Findings<E, S>> | Findings<E, S>;

  /**
   * Checks parameters and keeps them, for paramsParser() and paramsCreator().
   *
   * @returns the parameters with the schema's defaults
   * @throws ParameterError with the problem
   */
  protected accept(parameters: unknown): P {
    this.parameters = checkParameters(this.schema, parameters);
    this.validateParameters();
    return this.parameters;
  }

  describeParameters(): ParameterSchema {
    return toParameterSchema(this.schema);
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

  /** Races the work with everything that may end it. The work notices the end by its signal; a later outcome is dropped. */
  async #work(reader: MessageReader): Promise<Findings<E, S>> {
    const { signal } = this.context;
    let onAbort: (() => void) | undefined;
    const ended = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
    void readUntilStop(reader).then((isStop) => isStop && this.#stop.abort(new RunEndedError(STOPPED)));
    try {
      return await Promise.race([ended, this.#begin()]);
    } finally {
      if (onAbort) signal.removeEventListener("abort", onAbort);
    }
  }

  async #begin(): Promise<Findings<E, S>> {
    this.context.signal.throwIfAborted();
    // Only code before the first await can be cut off; see docs/guides/investigations.md.
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
