import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { AnalysisRecord } from "../../src/lab/analysis/analysis-record";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { writeReport } from "../../src/lab/analysis/report/write-report";
import { writeJson } from "../../src/lab/analysis/report/write-json";
import { inFolder } from "../kit/in-folder";
import { NEEDS_BROWSER, withPage } from "../kit/lab/browser";
import { MANY_EVENTS_START, writeManyEvents } from "../kit/lab/many-events";

const RECORD = {
  ...{ id: 7, created: new Date(MANY_EVENTS_START).toISOString(), options: {}, phases: [], auxiliary: [], log: [] },
} as unknown as AnalysisRecord;

describe("the report of much", () => {
  test("has its further rows as parts, and all of them in report.json", { skip: NEEDS_BROWSER }, async () => {
    await inFolder(async (folder) => {
      writeManyEvents(folder, { processes: 8000, acts: 20_000 });
      writeReport(folder, RECORD);
      const page = join(folder, "report.html");
      assert.ok(statSync(page).size < 2 << 20, String(statSync(page).size));
      const report = JSON.parse(readFileSync(join(folder, "report.json"), "utf8")) as AnalysisReport;
      assert.deepEqual([report.processes.length, report.files.length, report.leftOut], [8000, 20_000, 0]);
      assert.ok(report.left.every(({ path }) => !path.startsWith("report/")));
      assert.ok(readdirSync(join(folder, "report")).includes("files-10.html"));
      await withPage(page, async (shown) => {
        assert.equal(await shown.evaluate("document.querySelectorAll('#files a').length"), 10);
        assert.equal(shown.requests.length, 1, "no part is loaded before it is opened");
        await shown.evaluate("document.querySelector('#files details').open = true; document.querySelector('#files a').click()"); // prettier-ignore
        await shown.untilRequested(/report\/files-1\.html$/);
        assert.equal(shown.requests.length, 2);
        const picture = process.env.REBOX_TEST_PICTURE;
        if (picture !== undefined) writeFileSync(picture, await shown.takePicture(1200, 3000));
        assert.deepEqual(shown.complaints, []);
      });
    });
  });

  test("is a small page when a million events have happened, too", async () => {
    await inFolder(async (folder) => {
      writeManyEvents(folder, { processes: 8000, acts: 992_000 });
      writeReport(folder, RECORD);
      const report = JSON.parse(readFileSync(join(folder, "report.json"), "utf8")) as AnalysisReport;
      assert.deepEqual([report.counts["file.written"], report.files.length, report.leftOut], [992_000, 100_000, 892_000]); // prettier-ignore
      // How soon a browser shows it is measured by the bench.
      assert.ok(statSync(join(folder, "report.html")).size < 2 << 20);
    });
  });
});

describe("a value that is written as JSON piece by piece", () => {
  test("is the same as one that is written at once", async () => {
    await inFolder((folder) => {
      const file = join(folder, "value.json");
      const value = { list: [{ a: 1 }, null, undefined, [2, [3]]], none: undefined, deep: { one: { two: { three: "é" } } }, empty: [], text: "x" }; // prettier-ignore
      writeJson(file, value);
      assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), JSON.parse(JSON.stringify(value)));
      return Promise.resolve();
    });
  });

  test("may be nested more deeply than JavaScript can write", async () => {
    await inFolder((folder) => {
      const file = join(folder, "value.json");
      const deep = JSON.parse("[".repeat(200_000) + "]".repeat(200_000)) as unknown;
      writeJson(file, { events: [{ deep }, { deep: 1 }] });
      assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), { events: ["nested too deeply to be written", { deep: 1 }] }); // prettier-ignore
      return Promise.resolve();
    });
  });
});
