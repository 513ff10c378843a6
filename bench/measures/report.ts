import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AnalysisRecord } from "../../src/lab/analysis/analysis-record";
import { writeReport } from "../../src/lab/analysis/report/write-report";
import { NEEDS_BROWSER, withPage } from "../../test/kit/lab/browser";
import { MANY_EVENTS_START, writeManyEvents } from "../../test/kit/lab/many-events";
import type { Measure } from "../measure";
import { SampleCollection } from "../sample-collection";

const MANY = { processes: 8_000, acts: 992_000 };
const RECORD = {
  ...{ id: 7, created: new Date(MANY_EVENTS_START).toISOString(), options: {}, phases: [], auxiliary: [], log: [] },
} as unknown as AnalysisRecord;
/** The browser's own clock, from the beginning of the page; 0 while it has shown nothing. */
const PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0";
const LOADED = "performance.timing.loadEventStart - performance.timing.navigationStart";
const PATIENCE_MS = 30_000;

/** How long the report of a million events takes: to be written, and to be seen in Chromium. */
export const report: Measure = {
  name: "report",
  async run({ pairs, say }) {
    if (NEEDS_BROWSER !== false) throw new Error(`${this.name}: ${NEEDS_BROWSER}`);
    const written = new SampleCollection("report of a million events: written", "s");
    const painted = new SampleCollection("report of a million events: first paint in Chromium", "ms", { of: "value", bound: "at most", value: 1000 }); // prettier-ignore
    const loaded = new SampleCollection("report of a million events: loaded in Chromium", "ms", { of: "value", bound: "at most", value: 1000 }); // prettier-ignore
    const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
    try {
      for (let turn = 0; turn < pairs; turn++) {
        say(`${this.name}: ${turn + 1} of ${pairs}`);
        const own = join(folder, String(turn));
        mkdirSync(own);
        writeManyEvents(own, MANY);
        const beganMs = performance.now();
        writeReport(own, RECORD);
        written.addRebox((performance.now() - beganMs) / 1000);
        await withPage(join(own, "report.html"), async (page) => {
          const endMs = performance.now() + PATIENCE_MS;
          let paintedMs = await page.evaluate<number>(PAINTED);
          while (paintedMs === 0) {
            if (performance.now() > endMs) throw new Error(`${this.name}: Chromium has shown nothing`);
            await new Promise((resolve) => setTimeout(resolve, 20));
            paintedMs = await page.evaluate<number>(PAINTED);
          }
          painted.addRebox(paintedMs);
          loaded.addRebox(await page.evaluate<number>(LOADED));
        });
        rmSync(own, { recursive: true });
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
    return [written, painted, loaded].map((row) => row.toRow());
  },
};
