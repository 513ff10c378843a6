import {
  type Findings,
  type InvestigationResult,
  type ParameterPrompt,
  parseFlags,
  PersistentInvestigation,
  registerInvestigation,
  UsageShown,
  z,
} from "rebox/investigation";

const HELP = `examplepersist: a persistent module that echoes, and counts what it was asked
 -string TEXT        what comes back`;
const DEFAULT_INTERVAL_S = 30;

/** [examplepersist] of examplepersist.cfg: how often it says that it lives, in seconds. */
const Config = z.strictObject({ interval: z.number().default(DEFAULT_INTERVAL_S) });

const Parameters = z.strictObject({ string: z.string() });

interface Elements {
  string: string;
}

interface Statistics {
  /** Queries that this instance has answered. */
  queries: number;
  /** How often it has said that it lives. */
  ticks: number;
  /** In seconds, as it is used. */
  interval: number;
}

/** MIG's example of a persistent module: it keeps a count, and answers queries. */
class ExamplePersist extends PersistentInvestigation<
  z.infer<typeof Config>,
  z.infer<typeof Parameters>,
  Elements,
  Statistics
> {
  protected readonly configSchema = Config;
  protected readonly schema = Parameters;
  private queries = 0;
  private ticks = 0;
  private intervalS = DEFAULT_INTERVAL_S;

  protected start(): void {
    this.intervalS = this.config.interval > 0 ? this.config.interval : DEFAULT_INTERVAL_S;
    // The timer belongs to the instance, and goes with it.
    setInterval(() => {
      this.ticks++;
      this.context.log(`still here, ${this.queries} queries`);
    }, this.intervalS * 1000);
  }

  protected query({ string }: z.infer<typeof Parameters>): Findings<Elements, Statistics> {
    if (string === "") throw new Error("string must not be empty");
    const { ticks, intervalS: interval } = this;
    return { found: true, elements: { string }, statistics: { queries: ++this.queries, ticks, interval } };
  }

  printResults({ elements, statistics, errors }: InvestigationResult, foundOnly: boolean): string[] {
    const lines = [`string is ${(elements as Elements).string}`];
    if (foundOnly) return lines;
    const { queries } = statistics as Statistics;
    return [...lines, ...(errors ?? []).map((error) => `error: ${error}`), `stat: ${queries} queries answered`];
  }

  paramsParser(args: readonly string[]): unknown {
    return parseFlags(args, { string: "text" }, HELP);
  }

  async paramsCreator(prompt: ParameterPrompt): Promise<unknown> {
    prompt.tell(HELP);
    for (;;) {
      const string = await prompt.ask("string> ");
      if (string === undefined) throw new UsageShown("nothing was asked");
      if (string !== "") return { string };
      prompt.tell("string must not be empty; try again");
    }
  }
}

registerInvestigation("examplepersist", { newPersistentRun: (context) => new ExamplePersist(context) });
