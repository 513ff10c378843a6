import { setTimeout as sleep } from "node:timers/promises";
import { Engine, type LinuxGuest } from "rebox";
import {
  type Findings,
  formatDuration,
  Investigation,
  type InvestigationResult,
  type ParameterPrompt,
  parseDuration,
  parseFlags,
  registerInvestigation,
  UsageShown,
  z,
} from "rebox/investigation";

const REFERENCE = "host";
/** A kernel that has nothing to do may not have looked at its clock for a while; it does so again within this, mostly. */
const LONGEST_IDLE_MS = 3000;
const LONGEST_PAUSE_MS = 1000;
const LOOK_EVERY_MS = 1;

const Parameters = z.strictObject({
  drift: z
    .string()
    .default("")
    .describe(
      'How far the guest\'s clock may be off, as Go writes durations: "5s", "1h30m". Empty: only the time is told.',
    ),
});
type Parameters = z.infer<typeof Parameters>;

interface Elements {
  readonly hascheckeddrift: boolean;
  readonly iswithindrift?: boolean;
  readonly drifts?: readonly string[];
  /** The guest's, RFC 3339. */
  readonly localtime: string;
  readonly vantage: string;
}

interface Statistics {
  readonly exectime: string;
  /** By the clock that the guest's is compared with, RFC 3339. */
  readonly referencetime?: string;
  readonly reference?: string;
  /** The guest's clock less the other. */
  readonly drift?: string;
}

const HELP = `timedrift tells the time by a guest's own kernel, and compares it with this host's clock.

-drift DURATION   how far it may be off: "5s", "1h30m", "250ms"

Without -drift the time is told and nothing compared. A guest that was paused, or that does not get all of the processor's time it
wants, is behind by that: no sign of anything.`;

class TimeDrift extends Investigation<Parameters, Elements, Statistics> {
  protected readonly schema = Parameters as z.ZodType<Parameters>;

  override validateParameters(): void {
    const { drift } = this.parameters;
    if (drift !== "" && parseDuration(drift) < 0) throw new Error(`drift is ${drift}: it cannot be negative`);
  }

  protected async investigate(): Promise<Findings<Elements, Statistics>> {
    const startMs = performance.now();
    const guest = this.context.getGuest();
    const { vantage } = this.context;
    const { realTimeNs, hostNs, isFresh } = await this.#readClocks(guest);
    const errors = isFresh
      ? []
      : ["the guest's kernel has not looked at its clock meanwhile: its time is that of its last tick"];
    const localtime = formatTime(realTimeNs);
    const getTime = (): string => formatDuration((performance.now() - startMs) * 1e6);
    if (this.parameters.drift === "") {
      return {
        found: true,
        elements: { hascheckeddrift: false, localtime, vantage },
        statistics: { exectime: getTime() },
      };
    }
    if (vantage === "image") {
      throw new Error("a memory image has no time to compare with: its guest's clock stands still; ask without drift");
    }
    const offNs = Number(realTimeNs - hostNs);
    const iswithindrift = Math.abs(offNs) <= parseDuration(this.parameters.drift);
    const by = formatDuration(Math.abs(offNs));
    const drifts = iswithindrift
      ? []
      : [`the guest's clock is ${offNs < 0 ? "behind" : "ahead of"} the host's by ${by}`];
    return {
      found: !iswithindrift,
      elements: { hascheckeddrift: true, iswithindrift, drifts, localtime, vantage },
      statistics: {
        exectime: getTime(),
        ...{ reference: REFERENCE, referencetime: formatTime(hostNs), drift: formatDuration(offNs) },
      },
      errors,
    };
  }

  /**
   * Reads both clocks at one moment: just after the guest's kernel has updated its own, which it does with each tick. A guest that
   * stands still, and a memory image, have the time of the last one.
   */
  async #readClocks(guest: LinuxGuest): Promise<{ realTimeNs: bigint; hostNs: bigint; isFresh: boolean }> {
    const read = (): bigint => guest.clock.realTimeNs;
    const startMs = performance.now();
    const first = read();
    let isFresh = this.context.vantage === "image";
    let realTimeNs = first;
    while (!isFresh) {
      const engine = Engine.find();
      // Another question may have it stand still for a moment.
      const limitMs = engine?.state === "running" ? LONGEST_IDLE_MS : LONGEST_PAUSE_MS;
      if (!engine || performance.now() - startMs > limitMs) break;
      await sleep(LOOK_EVERY_MS);
      this.context.signal.throwIfAborted();
      realTimeNs = read();
      isFresh = realTimeNs !== first;
    }
    return { realTimeNs, hostNs: BigInt(Date.now()) * 1_000_000n, isFresh };
  }

  printResults(result: InvestigationResult, foundOnly: boolean): string[] {
    const elements = result.elements as Elements | null;
    const lines: string[] = [];
    if (elements) {
      lines.push(`local time is ${elements.localtime}`);
      if (elements.hascheckeddrift) {
        lines.push(
          `local time is ${elements.iswithindrift ? "within" : "beyond"} the accepted drift from the ${REFERENCE}'s clock`,
        );
      }
      lines.push(...(elements.drifts ?? []));
    }
    if (foundOnly) return lines;
    for (const error of result.errors ?? []) lines.push(`error: ${error}`);
    const statistics = result.statistics as Statistics | null;
    if (statistics) lines.push(`stat: execution time was ${statistics.exectime}`);
    if (statistics?.drift !== undefined) {
      lines.push(`stat: the host's time was ${statistics.referencetime}, the guest's drifts by ${statistics.drift}`);
    }
    return lines;
  }

  async paramsCreator(prompt: ParameterPrompt): Promise<Parameters> {
    for (;;) {
      const drift = await prompt.ask("drift> ");
      if (drift === undefined) throw new UsageShown(HELP);
      if (drift === "help") prompt.tell(HELP);
      else {
        try {
          return this.accept({ drift });
        } catch (error) {
          prompt.tell((error as Error).message);
        }
      }
    }
  }

  paramsParser(args: readonly string[]): Parameters {
    return this.accept(parseFlags(args, { drift: "text" }, HELP));
  }
}

/** RFC 3339, in UTC, with as many digits as there are. */
function formatTime(ns: bigint): string {
  const seconds = ns / 1_000_000_000n;
  const fraction = String(ns % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${text}${fraction === "" ? "" : `.${fraction}`}Z`;
}

registerInvestigation("timedrift", { newRun: (context) => new TimeDrift(context) });
