import type { z } from "zod";
import { callWithin } from "../../config/limits";
import type { Findings } from "../investigation";
import { parseMessage, MessageReader } from "../messages";
import type { PersistentContext, MessageInput, PersistentRun } from "../module";
import { checkParameters, type ParameterSchema, toParameterSchema } from "../parameters";
import { describeFailure, createFailure, encodeResult } from "../result";
import { MessageError } from "../errors";

/**
 * The base class of persistent modules: it takes the configuration first, registers when it has started, answers pings and queries,
 * and turns errors into results.
 */
export abstract class PersistentInvestigation<C, P, E = unknown, S = unknown> implements PersistentRun {
  /** The schema of the configuration. It must accept {}, the configuration of a file without the module's section. */
  protected abstract readonly configSchema: z.ZodType<C>;

  /** The schema of the parameters of a query. */
  protected abstract readonly schema: z.ZodType<P>;

  /** The configuration; set before start() is called. */
  protected config!: C;

  constructor(protected readonly context: PersistentContext) {}

  /** Begins to watch. Queries are let through when it has settled. @throws any error ends the instance, which is started again later */
  protected abstract start(): void | Promise<void>;

  /** Answers a query. Several queries may be active at once. @throws any error makes this query a failure */
  protected abstract query(parameters: P): Findings<E, S> | Promise<Findings<E, S>>;

  /** Answers a ping; an instance that does not answer is ended and started again. */
  protected ping(): void | Promise<void> {
    // The call itself is the answer.
  }

  /** Ends everything that was not given to context.own(). */
  protected stop(): void | Promise<void> {
    // Everything that belongs to the instance ends with it.
  }

  describeParameters(): ParameterSchema {
    return toParameterSchema(this.schema);
  }

  async runPersist(input: MessageInput, write: (line: string) => void): Promise<void> {
    const reader = new MessageReader(input);
    const first = parseMessage((await reader.next()) ?? "");
    if (first.class !== "config") throw new MessageError(`the first message is "${first.class}", and no configuration`);
    this.config = checkParameters(this.configSchema, first.parameters ?? {}, "configuration");
    // A failure of a ping ends the instance.
    let fail: ((error: unknown) => void) | undefined;
    const failed = new Promise<never>((_, reject) => (fail = reject));
    failed.catch(() => undefined);
    // Pings are answered while it starts, too.
    const started = Promise.resolve(callWithin(this.context.timeoutMs, () => this.start())).then(() =>
      write(JSON.stringify({ class: "register" })),
    );
    started.catch((error: unknown) => fail?.(error));
    try {
      await Promise.race([failed, this.#answer(reader, write, (error) => fail?.(error))]);
    } finally {
      await this.stop();
    }
  }

  async #answer(reader: MessageReader, write: (line: string) => void, fail: (error: unknown) => void): Promise<void> {
    for (let line = await reader.next(); line !== undefined; line = await reader.next()) {
      const message = parseMessage(line);
      if (message.class === "stop") return;
      if (message.class === "ping") {
        Promise.resolve(this.ping()).then(() => write(JSON.stringify({ class: "ping" })), fail);
      } else if (message.class === "parameters") {
        const { id, parameters } = message;
        void this.#runQuery(parameters).then((result) => write(`{"class":"result","id":${id},"result":${result}}`));
      }
    }
  }

  async #runQuery(parameters: unknown): Promise<string> {
    try {
      const checked = checkParameters(this.schema, parameters ?? {});
      const {
        found,
        elements,
        statistics,
        errors = [],
      } = await callWithin(this.context.timeoutMs, () => this.query(checked));
      const soft = errors.length === 0 ? null : errors;
      return encodeResult({ foundanything: found, success: true, elements, statistics, errors: soft });
    } catch (error) {
      return encodeResult(createFailure(describeFailure(error)));
    }
  }
}
