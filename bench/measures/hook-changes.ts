import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { HookChangesReport } from "../inside/hook-changes";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";
import { getMedian, getPercentile } from "../sample-summary";

/** Enough for the guest never to leave its loop. */
const WORK = { loops: 1_000_000_000, forks: 1 };

/** What it takes to add and to remove a hook in code that the guest executes all the time. */
export const hookChanges: Measure = {
  name: "hook-changes",
  async run({ pairs, say }) {
    const limit = (value: number) => ({ of: "value", bound: "at most", value }) as const;
    const change = new SampleCollection("a hook is added and removed: median", "ms", limit(1));
    const worst = new SampleCollection("a hook is added and removed: 99 of 100", "ms", limit(1));
    const first = new SampleCollection("from adding a hook to its first call: median", "ms");
    const flushes = new SampleCollection("flushes of all translations meanwhile", "", limit(0));
    for (let turn = 0; turn < pairs; turn++) {
      say(`${this.name}: ${turn + 1} of ${pairs}`);
      await using guest = startInside("hook-changes", getGuestArguments("workload", WORK));
      await guest.waitForFact("workload.loops");
      guest.proceed();
      const report = await guest.waitForMessage<HookChangesReport>();
      change.addRebox(getMedian(report.changeMs));
      worst.addRebox(getPercentile(report.changeMs, 0.99));
      first.addRebox(getMedian(report.firstCallMs));
      flushes.addRebox(report.flushes);
    }
    return [change, worst, first, flushes].map((samples) => samples.toRow());
  },
};
