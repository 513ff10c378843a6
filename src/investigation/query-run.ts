import { describeFailure } from "./describe-failure";
import { STOPPED } from "./investigation";
import type { InvestigationContext } from "./investigation-context";
import { parseMessage, readInputParameters } from "./investigation-message";
import type { InvestigationRun, MessageInput, PersistentRun } from "./investigation-module";
import { createFailure, encodeResult } from "./investigation-result";
import { MessageReader } from "./message-reader";
import type { PersistentInstance } from "./persistent-instance";

/** One query to a persistent module; what the module can do with parameters and results, the query can. */
export class QueryRun implements InvestigationRun {
  readonly printResults?: NonNullable<InvestigationRun["printResults"]>;
  readonly paramsParser?: NonNullable<InvestigationRun["paramsParser"]>;
  readonly paramsCreator?: NonNullable<InvestigationRun["paramsCreator"]>;
  readonly enhancePrivacy?: NonNullable<InvestigationRun["enhancePrivacy"]>;

  constructor(
    private readonly instance: PersistentInstance,
    private readonly context: InvestigationContext,
  ) {
    const run: PersistentRun | undefined = instance.run;
    if (run?.printResults) this.printResults = run.printResults.bind(run);
    if (run?.paramsParser) this.paramsParser = run.paramsParser.bind(run);
    if (run?.paramsCreator) this.paramsCreator = run.paramsCreator.bind(run);
    if (run?.enhancePrivacy) this.enhancePrivacy = run.enhancePrivacy.bind(run);
  }

  validateParameters(): void {
    // The instance does it.
  }

  async run(input: MessageInput): Promise<string> {
    const reader = new MessageReader(input);
    const stop = new AbortController();
    try {
      const parameters = readInputParameters(await reader.next());
      void this.#watchForStop(reader, stop);
      return encodeResult(await this.instance.query(parameters, AbortSignal.any([this.context.signal, stop.signal])));
    } catch (error) {
      return encodeResult(createFailure(describeFailure(error)));
    }
  }

  async #watchForStop(reader: MessageReader, stop: AbortController): Promise<void> {
    try {
      for (let line = await reader.next(); line !== undefined; line = await reader.next()) {
        if (parseMessage(line).class === "stop") return stop.abort(new Error(STOPPED));
      }
    } catch {
      // Nothing that can be read is no reason to stop.
    }
  }
}
