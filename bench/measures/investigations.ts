import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { InvestigationsReport } from "../inside/investigations";
import type { Measure } from "../measure";
import type { Limit } from "../result-row";
import { SampleCollection } from "../sample-collection";

const MEGABYTES = 128;
const AT_MOST_50: Limit = { of: "value", bound: "at most", value: 50 };
const AT_LEAST_1: Limit = { of: "value", bound: "at least", value: 1 };

/** How long investigation modules take to answer on a guest that runs, and how fast memory is searched. */
export const investigations: Measure = {
  name: "investigations",
  async run({ pairs, say }) {
    const rows = new Map<string, SampleCollection>();
    const add = (name: string, unit: string, value: number, limit?: Limit): void => {
      const row = rows.get(name) ?? new SampleCollection(`investigations: ${name}`, unit, limit);
      row.addRebox(value);
      rows.set(name, row);
    };
    for (let turn = 0; turn < pairs; turn++) {
      say(`${this.name}: ${turn + 1} of ${pairs}`);
      await using guest = startInside("investigations", getGuestArguments("investigation", { megabytes: MEGABYTES }));
      await guest.waitForFact("investigation.reported");
      guest.proceed();
      const report = await guest.waitForMessage<InvestigationsReport>();
      for (const [name, { median, slowest }] of Object.entries(report.queries)) {
        add(name, "ms", median, AT_MOST_50);
        add(`${name}, the slowest`, "ms", slowest);
      }
      add("20 times netstat at once", "ms", report.twentyMs);
      for (const [name, speed] of Object.entries(report.search)) {
        add(`memory, ${name}`, "GB/s", speed, name === "bytes" ? AT_LEAST_1 : undefined);
      }
      add("memory, bytes, by wall clock", "GB/s", report.wallSearch);
      add("memory, longest pause", "ms", report.longestPauseMs);
    }
    return [...rows.values()].map((row) => row.toRow());
  },
};
