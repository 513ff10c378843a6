import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { BlockCallsReport } from "../inside/block-calls";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

/** Enough for the guest never to leave its loop. */
const WORK = { loops: 1_000_000_000, forks: 1 };

const LIMIT = { of: "value", bound: "at least", value: 9 } as const;

const VARIANTS = [
  { callback: "count", title: "block-begin" },
  { callback: "read", title: "block-begin: reads tb.pc, cpu.RAX" },
] as const;

/** How many times a second a TypeScript function is called, one call for each block of a working guest. */
export const blockBegin: Measure = {
  name: "block-begin",
  async run({ pairs, say }) {
    const rows = [];
    for (const { callback, title } of VARIANTS) {
      const rate = new SampleCollection(title, "M/s", callback === "count" ? LIMIT : undefined);
      const cpuRate = new SampleCollection(`${title}, in CPU time`, "M/s");
      const heap = new SampleCollection(`${title}, heap`, "KiB/M", { of: "value", bound: "at most", value: 64 });
      const resident = new SampleCollection(`${title}, resident`, "KiB/M");
      for (let turn = 0; turn < pairs; turn++) {
        say(`${this.name}: ${callback}, ${turn + 1} of ${pairs}`);
        await using guest = startInside("block-calls", [callback, ...getGuestArguments("workload", WORK)]);
        await guest.waitForFact("workload.loops");
        guest.proceed();
        const report = await guest.waitForMessage<BlockCallsReport>();
        const millions = report.calls / 1e6;
        rate.addRebox(millions / (report.elapsedMs / 1000));
        cpuRate.addRebox(millions / (report.cpuMs / 1000));
        heap.addRebox(report.heapGrowth / 1024 / millions);
        resident.addRebox(report.residentGrowth / 1024 / millions);
      }
      rows.push(rate, cpuRate, heap, resident);
    }
    return rows.map((samples) => samples.toRow());
  },
};
