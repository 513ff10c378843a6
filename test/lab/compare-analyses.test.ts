import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type AnalysisRecord, writeRecord } from "../../src/lab/analysis/analysis-record";
import { compareAnalyses } from "../../src/lab/analysis/compare/compare-analyses";
import { normaliseText } from "../../src/lab/analysis/compare/normalise-act";
import { appendEvent } from "../../src/lab/analysis/event-log";
import { inFolder } from "../kit/in-folder";

type Add = (type: string, facts: object) => void;

function writeAnalysis(folder: string, id: number, names: readonly string[], write: (add: Add) => void): string {
  const path = join(folder, String(id));
  mkdirSync(path);
  writeRecord(path, {
    ...{ id, target: { name: "sample", size: 1, sha256: "ab" }, command: undefined, outcome: "finished", phases: [] },
    network: { network: "simulated", isOpen: false, isAsked: true, problems: [], names: names.map((name) => ({ name, type: "A", began: "", count: 1, process: undefined })) }, // prettier-ignore
  } as unknown as AnalysisRecord);
  write((type, facts) => appendEvent(path, type, facts as Record<string, unknown>));
  return path;
}

/** A sample with another pid, another random name and another time in each run. */
function sample(add: Add, pid: number, random: string, name: string): void {
  add("process.created", { pid: 9, ppid: 1, name: "cron" });
  add("file.written", { pid: 9, process: "cron", path: `/var/log/${name}` });
  add("process.created", { pid, ppid: 1, name: "sh" });
  add("process.executed", { pid, name: "sample", commandLine: "./sample", executable: "/tmp/rebox-0123456789abcdef/sample", origin: "target" }); // prettier-ignore
  add("file.written", { pid, process: "sample", path: `/tmp/tmp.${random}` });
  add("file.written", { pid, process: "sample", path: `/tmp/${name}` });
  add("file.written", { pid, process: "sample", path: `/var/run/sample.${pid}.pid` });
  add("process.signalled", { pid, process: "sample", target: 9, signal: 9 });
  add("network.connected", { pid, process: "sample", protocol: "tcp", address: "192.0.2.1", port: 443 });
  add("file.times", { pid, process: "sample", path: "/etc/passwd", modified: `2026-0${(pid % 8) + 1}-01T00:00:00.000Z` }); // prettier-ignore
}

describe("two analyses", () => {
  test("of the same program differ in nothing, whatever pids, times and random names it had", async () => {
    await inFolder((folder) => {
      const one = writeAnalysis(folder, 1, ["c2.example"], (add) => sample(add, 100, "aB3dEf", "qwertz"));
      const other = writeAnalysis(folder, 2, ["c2.example"], (add) => sample(add, 217, "Zx9Yw1", "asdfgh"));
      const { analyses, both } = compareAnalyses([one, other]);
      assert.deepEqual(analyses.map(({ only }) => only), [[], []]); // prettier-ignore
      assert.equal(both, 8);
      return Promise.resolve();
    });
  });

  test("differ in what only one of them did, how often, and in the names that it asked for", async () => {
    await inFolder((folder) => {
      const one = writeAnalysis(folder, 1, ["a.example", "c2.example"], (add) => {
        sample(add, 100, "aB3dEf", "qwertz");
        for (const pid of [100, 100]) add("file.written", { pid, process: "sample", path: "/etc/cron.d/run" });
      });
      const other = writeAnalysis(folder, 2, ["c2.example"], (add) => {
        sample(add, 217, "Zx9Yw1", "asdfgh");
        add("network.connected", { pid: 217, process: "sample", protocol: "tcp", address: "192.0.2.1", port: 80 });
      });
      const [first, second] = compareAnalyses([one, other]).analyses;
      assert.deepEqual(first.only, [
        { type: "file.written", process: "sample", facts: "path=/etc/cron.d/run", count: 2 },
        { type: "network.asked", process: "", facts: "name=a.example type=A", count: 1 },
      ]);
      assert.deepEqual(second.only.map(({ facts }) => facts), ["protocol=tcp address=192.0.2.1 port=80"]); // prettier-ignore
      return Promise.resolve();
    });
  });

  test("keep the names that a person chose", () => {
    const none = new Map<number, string>();
    for (const text of ["/etc/cron.d/run", "libfoo2bar", "sha256sum", "x86_64", "/usr/lib/python3.11/README", "run.1234", "Makefile", "deadbeef"])
      assert.equal(normaliseText(text, none), text); // prettier-ignore
    const seen = new Map([[1234, "sh"]]);
    assert.equal(normaliseText("run.1234 a1b2c3d4e5 /proc/77/mem 2026-01-02T03:04:05Z Kd83jGq", seen), "run.<pid> <hex> /proc/<pid>/mem <time> <random>"); // prettier-ignore
  });
});
