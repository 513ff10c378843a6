import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { openDatabase } from "../../src/lab/analysis/analysis-places";
import { AnalysisIndex } from "../../src/lab/analysis/search/analysis-index";
import { type AnalysisQuery, AnalysisSearch } from "../../src/lab/analysis/search/search-analyses";
import { writeJson } from "../../src/lab/analysis/report/write-json";
import { formatFrame, readCallStacks } from "../../src/server/results/call-stacks";
import { readEventPage } from "../../src/server/results/event-page";
import { readProcessDetails } from "../../src/server/results/process-details";
import { readReport } from "../../src/server/results/read-report";
import { readTimeline } from "../../src/server/results/timeline";
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

describe("a timeline", () => {
  test("counts each event once, in the stretch of its time, which leads to its first event", async () => {
    await inFolder(async (folder) => {
      const count = 30_000;
      const typeOf = (at: number) => (at % 10 === 0 ? "network.sent" : at % 3 === 0 ? "constructor" : "file.written");
      // A text of the guest that looks like the type of the event, and one that is longer than what is looked at.
      const lines = Array.from({ length: count }, (_, at) => `${JSON.stringify({ time: new Date(at * 7).toISOString(), path: at % 2 === 0 ? '"type":"evil"}' : "x".repeat(300), type: typeOf(at) })}\n`); // prettier-ignore
      const bad = ["null", "{}", '{"time":"never","type":"a"}', "x".repeat(3 << 20)].map((line) => `${line}\n`);
      writeFileSync(join(folder, "events.jsonl"), `${bad.join("")}${lines.join("")}{"time":"1970-01-0`);
      const { startMs, endMs, stretches } = readTimeline(folder);
      assert.deepEqual([startMs, endMs], [0, (count - 1) * 7]);
      const sum = (kind: string) => stretches.reduce((total, { counts }) => total + (counts[kind] ?? 0), 0);
      const wanted = (kind: string) => lines.filter((_, at) => typeOf(at).startsWith(kind)).length;
      for (const kind of ["network", "constructor", "file", "evil"]) assert.equal(sum(kind), kind === "evil" ? 0 : wanted(kind), kind); // prettier-ignore
      for (const { startMs: from, offset } of stretches) {
        const [first] = readEventPage(folder, {}, offset!, 1).events;
        const firstMs = Date.parse(first!.time);
        assert.ok(firstMs >= Math.floor(from) && firstMs - from < 7, `${firstMs} of ${from}`);
      }
      assert.deepEqual(readTimeline(join(folder, "nothing")).stretches, []);
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
      const find = (query: AnalysisQuery) => search.list(query, 10).map(({ id }) => id);
      assert.deepEqual([find({ signature: "hides" }), find({ text: "./sample" }), index.listMissing()], [[], [], ids]);
      assert.equal(await doWork({ kind: "index", labFolder: lab }), 2);
      assert.deepEqual([find({ signature: "hides" }), find({ text: "./sample" })], [ids.toReversed(), ids.toReversed()]); // prettier-ignore
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
      await pool.doApart({ kind: "timeline", folder });
      await assert.rejects(pool.doApart({ kind: "compare", folders: [missing, missing] }), /analysis\.json/);
      // More than there are threads: the last one waits when the pool ends.
      const ended = Promise.allSettled([page(), page(), page(), page(), page(), page()]);
      await pool.close();
      const last = (await ended).at(-1)!;
      assert.match(last.status === "rejected" ? String(last.reason) : last.status, /BusyError: the server ends/);
      assert.throws(() => page(), /too much to do/);
    });
  });

  test("that makes files of all of an analysis has its own threads and a longer limit, and what takes too long says so", async () => {
    await inFolder(async (folder) => {
      const lane = { mostThreads: 1, keptThreads: 0, mostWaiting: 1 };
      const pool = new WorkPool({ quick: { ...lane, limitMs: 60_000 }, long: { ...lane, limitMs: 1 } });
      writeFileSync(join(folder, "events.jsonl"), lineOf(1));
      const lite = () => pool.do({ kind: "lite", folder, file: join(folder, "lite.json") });
      const ends = Promise.allSettled([lite(), lite()]);
      // Behind one that goes on, and one that waits.
      assert.throws(lite, /too much to do/);
      // What the making of analyses waits for is not behind them.
      await pool.do({ kind: "index", labFolder: folder });
      assert.equal((await pool.do({ kind: "events", folder, filter: {}, after: 0, limit: 1 })).events.length, 1);
      for (const end of await ends) assert.match(String((end as PromiseRejectedResult).reason), /BusyError: it took longer than 0\.001 s/); // prettier-ignore
      await pool.close();
    });
  });

  test("finds call stacks of acts and ends by their process, and leaves damaged ones out", async () => {
    await inFolder(async (folder) => {
      const frame = { address: "0x7f0000001234", module: "libc.so.6", offset: 0x1234, symbol: "write", within: 4 };
      const stack = { time: "2026-01-01T00:00:01.000Z", type: "file.written", facts: { pid: 7, process: "a", path: "/x" }, frames: [frame, { address: "0x10" }, { address: "evil" }, null] }; // prettier-ignore
      const damaged = [null, {}, { ...stack, frames: [] }, { ...stack, time: 1 }, { ...stack, facts: {} }, { ...stack, frames: "no" }]; // prettier-ignore
      writeFileSync(join(folder, "stacks.json"), JSON.stringify({ stacks: [...damaged, stack] }));
      writeFileSync(join(folder, "artefacts.json"), JSON.stringify({ cores: [{ time: "2026-01-01T00:00:00.000Z", pid: 7, process: "a", core: "0001-7.core", stack: [frame] }] })); // prettier-ignore
      const [end, act, ...others] = readCallStacks(folder);
      assert.deepEqual(others, []);
      assert.deepEqual([end!.type, end!.pid, end!.frames.length], ["process.ended", 7, 1]);
      assert.deepEqual(act, { time: stack.time, type: "file.written", pid: 7, facts: { path: "/x" }, frames: [frame, { address: "0x10" }] }); // prettier-ignore
      assert.deepEqual(act!.frames.map(formatFrame), ["libc.so.6+0x1234 write+0x4", "0x10"]);
      assert.deepEqual(readProcessDetails(folder, 8).stacks, []);
      // Its core is gone.
      const { stacks, memory } = readProcessDetails(folder, 7);
      assert.deepEqual([stacks.length, memory], [2, []]);
    });
  });
});

describe("a report", () => {
  const acts = (count: number, length: number) =>
    Array.from({ length: count }, (_, at) => ({
      ...{ time: "2026-01-01T00:00:01.000Z", type: "file.written", pid: 100, process: "sample" },
      ...{ path: `/tmp/${at}/${"x".repeat(length)}`, origin: at % 2 === 0 ? "target" : "system" },
    }));
  const write = (folder: string, files: readonly object[]) => {
    const analysis = {
      id: 1,
      created: "2026-01-01T00:00:00.000Z",
      options: { a: '  "files": [' },
      target: { name: "evil" },
    };
    const processes = [{ id: 1, pid: 100, name: "sample", began: analysis.created, origin: "target", threads: [] }];
    const report = { analysis, verdict: undefined, processes, knowsTarget: true, network: [], files, control: [], leftOut: 0, counts: { "file.written": files.length }, sample: undefined, artefacts: [], modules: { captures: [] }, log: [] }; // prettier-ignore
    writeJson(join(folder, "report.json"), report);
    return report;
  };

  test("is read piece by piece as it was written, without what is not wanted; one that was cut off is none", async () => {
    await inFolder(async (folder) => {
      const report = write(folder, acts(5, 10));
      const read = readReport(folder, ["analysis", "files", "log", "modules", "knowsTarget", "control"]);
      const { analysis, files, log, modules, knowsTarget, control } = report;
      assert.deepEqual(read, { analysis, knowsTarget, files, control, modules, log });
      const own = readReport(folder, ["files"], (_member, act) => (act as { origin: string }).origin === "target");
      assert.deepEqual(own, { files: files.filter((_, at) => at % 2 === 0) });
      const file = join(folder, "report.json");
      writeFileSync(file, readFileSync(file, "utf8").trimEnd().slice(0, -1));
      assert.equal(readReport(folder, ["files"]), undefined);
      assert.equal(readReport(join(folder, "nothing"), ["files"]), undefined);
    });
  });

  test("of more than a hundred MiB is told to CAPE's clients", async () => {
    await inFolder(async (folder) => {
      write(folder, acts(60_000, 2_000));
      assert.ok(statSync(join(folder, "report.json")).size > 100 << 20);
      const file = join(folder, "lite.json");
      const pool = new WorkPool();
      assert.equal(await pool.do({ kind: "lite", folder, file }), true);
      await pool.close();
      const { behavior } = JSON.parse(readFileSync(file, "utf8")) as { behavior: { processes: { calls: object[] }[]; summary: { files: string[] } } }; // prettier-ignore
      assert.deepEqual([behavior.processes[0]!.calls.length, behavior.summary.files.length], [2_000, 30_000]);
    });
  });
});
