import type { z } from "zod";
import { callWithin } from "../config/limits";
import { checkParameters } from "./check-parameters";
import { describeFailure } from "./describe-failure";
import type { Findings } from "./investigation";
import type { PersistentContext } from "./investigation-context";
import { parseMessage } from "./investigation-message";
import type { MessageInput, PersistentRun } from "./investigation-module";
import { createFailure, encodeResult } from "./investigation-result";
import { MessageReader } from "./message-reader";

/**
 * The base class of persistent modules: it takes the configuration first, says when it is there, answers pings and queries, and makes
 * results of what they throw.
 */
export abstract class PersistentInvestigation<C, P, E = unknown, S = unknown> implements PersistentRun {
  /** What the configuration may be: what a file without the module's section gives, {}, must be among it. */
  protected abstract readonly configSchema: z.ZodType<C>;

  /** What the parameters of a query may be. */
  protected abstract readonly schema: z.ZodType<P>;

  /** The configuration; set before start() is called. */
  protected config!: C;

  constructor(protected readonly context: PersistentContext) {}

  /** Begins to watch. Queries are let through when it has settled. @throws whatever ends the instance; it is tried again later */
  protected abstract start(): void | Promise<void>;

  /** Answers a query. Several may be on their way at once. @throws whatever makes this query a failure */
  protected abstract query(parameters: P): Findings<E, S> | Promise<Findings<E, S>>;

  /** Answers a ping; an instance whose answer does not come is ended and started again. */
  protected ping(): void | Promise<void> {
    // To be called is an answer already.
  }

  /** Ends what context.own() has not been told of. */
  protected stop(): void | Promise<void> {
    // What belongs to the instance goes with it.
  }

  async runPersist(input: MessageInput, write: (line: string) => void): Promise<void> {
    const reader = new MessageReader(input);
    const first = parseMessage((await reader.next()) ?? "");
    if (first.class !== "config") throw new Error(`the first message is "${first.class}", and no configuration`);
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
