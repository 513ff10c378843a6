import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { openDatabase } from "../../src/lab/analysis/analysis-places";
import { AnalysisIndex } from "../../src/lab/analysis/search/analysis-index";
import { AnalysisSearch } from "../../src/lab/analysis/search/search-analyses";
import { readEventPage } from "../../src/server/results/event-page";
import { doWork } from "../../src/server/results/work";
import { WorkPool } from "../../src/server/results/work-pool";
import { inFolder } from "../kit/in-folder";
import { addAnalysis, VERDICT } from "../kit/server/made-analysis";

const lineOf = (at: number) => `${JSON.stringify({ time: new Date(at).toISOString(), pid: at % 3, path: `/tmp/é ${at} "x"`, type: "file.written" })}\n`; // prettier-ignore

describe("a page of events", () => {
  test("has each event once, whatever the offsets are that are asked for, and never half of one", async () => {
    await inFolder(async (folder) => {
      const file = join(folder, "events.jsonl");
      const count = 9_000;
      writeFileSync(file, Array.from({ length: count }, (_, at) => lineOf(at)).join(""));
      for (const limit of [1_000, 3_333]) {
        const seen: unknown[] = [];
        for (let after: number | undefined = 0; after !== undefined;) {
          const page: ReturnType<typeof readEventPage> = readEventPage(folder, {}, after, limit);
          seen.push(...page.events.map(({ path }) => path));
          after = page.next;
        }
        assert.equal(seen.length, count);
        assert.equal(new Set(seen).size, count);
      }
      // Of a file that grows, the last line may not be whole yet.
      appendFileSync(file, '{"time":"x","type":"file.wr');
      assert.deepEqual(readEventPage(folder, { text: `é 8999 "x"` }, 0, 10).events.map(({ path }) => path), ['/tmp/é 8999 "x"']); // prettier-ignore
      const first = Buffer.byteLength(lineOf(0));
      for (const after of [1, first - 1, first]) assert.equal(readEventPage(folder, {}, after, 1).events[0]!.path, '/tmp/é 1 "x"', String(after)); // prettier-ignore
    });
  });

  test("leaves lines out that are no events, and one that never ends", async () => {
    await inFolder(async (folder) => {
      const bad = ["null", "[]", "{}", '{"type":1,"time":"x"}', "\0\0", "x".repeat(3 << 20)];
      writeFileSync(join(folder, "events.jsonl"), `${bad.join("\n")}\n${lineOf(7)}`);
      assert.deepEqual(
        readEventPage(folder, {}, 0, 100).events.map(({ path }) => path),
        ['/tmp/é 7 "x"'],
      );
      assert.deepEqual(readEventPage(join(folder, "nothing"), {}, 0, 1), { events: [], next: undefined });
    });
  });
});

describe("work on whole analyses", () => {
  test("adds those to the index that were made before there was one", async () => {
    await inFolder(async (lab) => {
      mkdirSync(join(lab, "conf"));
      const database = openDatabase(lab);
      const ids = [1, 2].map((at) => addAnalysis(lab, database, { content: `sample ${at}`, verdict: VERDICT }));
      const index = new AnalysisIndex(database);
      for (const id of ids) index.remove(id);
      const search = new AnalysisSearch(database);
      assert.deepEqual([search.list({ signature: "hides" }, 10), index.listMissing()], [[], ids]);
      assert.equal(await doWork({ kind: "index", labFolder: lab }), 2);
      assert.deepEqual(
        search.list({ signature: "hides" }, 10).map(({ id }) => id),
        ids.toReversed(),
      );
      assert.deepEqual(index.listMissing(), []);
      database.close();
    });
  });

  test("is done in threads: a failure is that of its work alone, and the end of the pool ends all", async () => {
    await inFolder(async (folder) => {
      const pool = new WorkPool();
      writeFileSync(join(folder, "events.jsonl"), lineOf(1));
      const missing = join(folder, "nothing");
      const page = () => pool.do({ kind: "events", folder, filter: {}, after: 0, limit: 1 });
      const results = await Promise.allSettled([pool.do({ kind: "compare", folders: [missing, missing] }), page(), page(), page()]); // prettier-ignore
      assert.deepEqual(
        results.map(({ status }) => status),
        ["rejected", "fulfilled", "fulfilled", "fulfilled"],
      );
      assert.match(String((results[0] as PromiseRejectedResult).reason), /BadRequestError: .*analysis\.json/);
      // More than there are threads: the last one waits when the pool ends.
      const ended = Promise.allSettled([page(), page(), page(), page(), page(), page()]);
      await pool.close();
      const last = (await ended).at(-1)!;
      assert.match(last.status === "rejected" ? String(last.reason) : last.status, /BusyError: the server ends/);
      assert.throws(() => page(), /too much to do/);
    });
  });
});
