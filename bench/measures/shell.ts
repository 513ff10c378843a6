import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getGuestArguments } from "../guest-arguments";
import { startInside } from "../guest-process";
import type { ShellReport } from "../inside/shell";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";
import { getMedian } from "../sample-summary";

/** Enough for the guest never to leave its loop. */
const WORK = { loops: 1_000_000_000, forks: 1 };
const LIMIT = { of: "value", bound: "at most", value: 30 } as const;

/** How long a shell waits for an answer while the guest works: by wall clock, through the socket of `rebox attach`. */
export const shell: Measure = {
  name: "shell",
  async run({ pairs, say }) {
    const first = new SampleCollection("shell: slowest command, the first time", "ms", LIMIT);
    const slowest = new SampleCollection("shell: slowest command, median", "ms", LIMIT);
    const most = new SampleCollection("shell: 99 of 100 answers", "ms", LIMIT);
    for (let turn = 0; turn < pairs; turn++) {
      const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
      try {
        await using guest = startInside("shell", [folder, ...getGuestArguments("workload", WORK)]);
        await guest.waitForFact("workload.loops");
        guest.proceed();
        const report = await guest.waitForMessage<ShellReport>();
        const worst = report.first.reduce((a, b) => (b.ms > a.ms ? b : a));
        const medians = [...new Set(report.later.map(({ line }) => line))].map((line) => ({
          line,
          ms: getMedian(report.later.filter((one) => one.line === line).map(({ ms }) => ms)),
        }));
        const slow = medians.toSorted((a, b) => b.ms - a.ms);
        const all = report.later.map(({ ms }) => ms).toSorted((a, b) => a - b);
        first.addRebox(worst.ms);
        slowest.addRebox(slow[0]?.ms ?? 0);
        most.addRebox(all[Math.floor(all.length * 0.99)] ?? 0);
        const shown = slow.slice(0, 5).map(({ line, ms }) => `${line}: ${ms.toFixed(1)} ms`);
        say(
          `${this.name}: ${turn + 1} of ${pairs}; ${shown.join(", ")}; first ${worst.line}: ${worst.ms.toFixed(1)} ms`,
        );
      } finally {
        rmSync(folder, { recursive: true });
      }
    }
    return [first, slowest, most].map((row) => row.toRow());
  },
};
