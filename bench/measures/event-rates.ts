import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { EventRateReport, RateVariant } from "../inside/event-rates";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

/** Enough for the guest never to leave its loop. */
const WORK = { loops: 1_000_000_000, forks: 1 };

/** In millions of events a second. */
const VARIANTS: readonly { variant: RateVariant; title: string; atLeast: number }[] = [
  { variant: "block-stream", title: "stream of blocks, every record read", atLeast: 60 },
  { variant: "memory-stream", title: "stream of accesses, every record read", atLeast: 40 },
  { variant: "insn-calls", title: "a call for each instruction", atLeast: 9 },
  { variant: "memory-calls", title: "a call for each access", atLeast: 6 },
];

/** How many events of a working guest reach a script in a second. */
export const eventRates: Measure = {
  name: "event-rates",
  async run({ pairs, say }) {
    const rows = [];
    for (const { variant, title, atLeast } of VARIANTS) {
      const rate = new SampleCollection(title, "M/s", { of: "value", bound: "at least", value: atLeast });
      const cpuRate = new SampleCollection(`${title}, in CPU time`, "M/s");
      for (let turn = 0; turn < pairs; turn++) {
        say(`${this.name}: ${variant}, ${turn + 1} of ${pairs}`);
        await using guest = startInside("event-rates", [variant, ...getGuestArguments("workload", WORK)]);
        await guest.waitForFact("workload.loops");
        guest.proceed();
        const report = await guest.waitForMessage<EventRateReport>();
        rate.addRebox(report.events / 1e3 / report.elapsedMs);
        cpuRate.addRebox(report.events / 1e3 / report.cpuMs);
      }
      rows.push(rate.toRow(), cpuRate.toRow());
    }
    return rows;
  },
};
