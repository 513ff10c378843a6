import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { appendEvent } from "../../src/lab/analysis/event-log";
import { gatherEvents } from "../../src/lab/analysis/report/gather-events";
import { writeReport } from "../../src/lab/analysis/report/write-report";
import type { AnalysisRecord } from "../../src/lab/analysis/analysis-record";
import type { createNavigatorLayer } from "../../src/lab/verdict/navigator-layer";
import { judgeScore, sumScores } from "../../src/lab/verdict/score";
import { createSigmaRule } from "../../src/lab/verdict/sigma/rule";
import type { RuleFolder } from "../../src/lab/verdict/sigma/rule-folder";
import { defineSignature, type SeenAct, type Signature, type SignatureWatcher } from "../../src/lab/verdict/signature";
import { judge, Trial } from "../../src/lab/verdict/trial";
import { inFolder } from "../kit/in-folder";

const NO_RULES: RuleFolder = { rules: [], unusable: [] };

function signature(name: string, score: number, see: SignatureWatcher, techniques = ["T1053.003"]): Signature {
  return defineSignature({ name, score, techniques, title: `It does ${name}`, see });
}

function rule(category: string, detection: object, product = "linux"): RuleFolder["rules"][number] {
  const made = createSigmaRule({
    ...{ title: "A rule", id: "id-1", level: "high", tags: ["attack.t1105"], logsource: { category, product } },
    detection: { a: detection, condition: "a" },
  });
  const own = product === "rebox" ? `rebox/${category}` : category;
  return { file: "a.yml", line: 1, categories: [own], rule: made };
}

/** A shell of the system starts the target, which starts a child; the system's cron works beside it. */
function writeEvents(folder: string): void {
  const add = (type: string, facts: object) => appendEvent(folder, type, facts as Record<string, unknown>);
  add("process.created", { pid: 10, ppid: 1, name: "sh" });
  add("process.executed", {
    pid: 10,
    name: "sample",
    commandLine: "/tmp/sample -x",
    executable: "/tmp/sample",
    isTarget: true,
    origin: "target",
  });
  add("process.created", { pid: 11, ppid: 10, name: "sample", origin: "target" });
  add("file.written", { pid: 11, process: "sample", path: "/etc/cron.d/run" });
  add("process.executed", {
    pid: 11,
    name: "curl",
    commandLine: "curl http://192.0.2.1/x",
    executable: "/usr/bin/curl",
    isTarget: true,
    origin: "target",
  });
  add("network.connected", { pid: 11, process: "curl", protocol: "tcp", address: "192.0.2.1", port: 80 });
  add("process.ended", { pid: 11, name: "curl" });
  add("process.created", { pid: 20, ppid: 2, name: "cron" });
  add("file.written", { pid: 20, process: "cron", path: "/etc/cron.d/system" });
}

describe("the verdict of an analysis", () => {
  test("knows of a process, and of those that it forks, that its program is not what the system had there", async () => {
    await inFolder((folder) => {
      const add = (type: string, facts: object) => appendEvent(folder, type, facts as Record<string, unknown>);
      const runs = (pid: number, isChanged: boolean) => add("process.executed", { pid, name: "apk", commandLine: "apk", executable: "/usr/bin/apk", origin: "target", ...(isChanged ? { isChanged } : {}) }); // prettier-ignore
      const forks = (pid: number, ppid: number) => add("process.created", { pid, ppid, name: "apk", origin: "target" });
      const writes = (pid: number) => add("file.written", { pid, process: "apk", path: `/etc/${pid}` });
      forks(10, 1);
      runs(10, false);
      writes(10);
      forks(11, 10);
      runs(11, true);
      writes(11);
      forks(12, 11);
      writes(12);
      runs(12, false);
      writes(12);
      const changed = signature("changed", 5, (act) => act.type === "file.written" && act.doer?.isChanged === true);
      const { findings } = judge(folder, [changed], NO_RULES);
      assert.deepEqual(findings.map(({ evidence }) => evidence.map(({ pid }) => pid)), [[11, 12]]); // prettier-ignore
      return Promise.resolve();
    });
  });

  test("is about what the target and its children did, and who did it; not about the system", async () => {
    await inFolder((folder) => {
      writeEvents(folder);
      const seen: SeenAct[] = [];
      const all = signature("all", 0, (act) => void seen.push(act));
      const cron = signature(
        "cron",
        5,
        (act) => act.type === "file.written" && String(act["path"]).startsWith("/etc/cron.d"),
      );
      const { findings } = judge(folder, [all, cron], NO_RULES);
      assert.deepEqual(seen.map(({ pid }) => pid), [10, 11, 11, 11, 11, 11]); // prettier-ignore
      const [finding] = findings;
      assert.deepEqual([finding!.name, finding!.count, findings.length], ["cron", 1, 1]);
      assert.deepEqual(
        finding!.evidence.map(({ text }) => text),
        ["file.written path=/etc/cron.d/run"],
      );
      const connected = seen.find(({ type }) => type === "network.connected")!;
      assert.equal(connected.doer!.executable, "/usr/bin/curl");
      assert.equal(connected.doer!.parent!.commandLine, "/tmp/sample -x");
      const written = seen.find(({ type }) => type === "file.written")!;
      assert.equal(written.doer!.executable, "/tmp/sample", "a process that was only forked runs its parent's program");
      return Promise.resolve();
    });
  });

  test("is about what a process did as the target's, and not about what it was before", async () => {
    await inFolder((folder) => {
      const add = (type: string, facts: object) => appendEvent(folder, type, facts as Record<string, unknown>);
      add("process.created", { pid: 10, ppid: 1, name: "sh" });
      add("file.mode", { pid: 10, process: "sh", path: "/tmp/launched" });
      add("process.executed", { pid: 10, name: "sample", commandLine: "sample", executable: "/sample", origin: "target" }); // prettier-ignore
      add("process.created", { pid: 30, ppid: 2, name: "daemon" });
      add("process.created", { pid: 31, ppid: 30, name: "earlier" });
      add("file.mode", { pid: 30, process: "daemon", path: "/tmp/own" });
      add("process.adopted", { pid: 30, name: "daemon", by: 10, act: "ptrace" });
      add("process.created", { pid: 32, ppid: 30, name: "later" });
      for (const pid of [10, 30, 31, 32]) add("file.mode", { pid, path: `/tmp/${pid}` });
      add("process.ended", { pid: 30, name: "daemon" });
      add("file.mode", { pid: 30, path: "/tmp/gone" });
      const modes = signature("mode", 3, ({ type, path }) => type === "file.mode" && String(path));
      const { verdict, files, processes } = gatherEvents(folder, new Trial([modes], NO_RULES));
      assert.deepEqual(verdict!.findings[0]!.evidence.map(({ text }) => text), ["/tmp/10", "/tmp/30", "/tmp/32"]); // prettier-ignore
      assert.deepEqual(Object.fromEntries(files.map(({ path, origin }) => [path, origin])), {
        ...{ "/tmp/launched": "rebox", "/tmp/own": "system", "/tmp/10": "target", "/tmp/30": "adopted" },
        ...{ "/tmp/31": "system", "/tmp/32": "adopted", "/tmp/gone": "system" },
      });
      assert.deepEqual(processes.map(({ pid, origin }) => [pid, origin]), [[10, "target"], [30, "adopted"], [31, "system"], [32, "adopted"]]); // prettier-ignore
      return Promise.resolve();
    });
  });

  test("is about all when it was not seen which processes are the target's", async () => {
    await inFolder((folder) => {
      appendEvent(folder, "file.written", { pid: 3, path: "/etc/cron.d/run" });
      const all = signature("all", 1, () => true);
      assert.equal(judge(folder, [all], NO_RULES).findings[0]!.count, 1);
      return Promise.resolve();
    });
  });

  test("asks Sigma rules by the taxonomy's names, and by rebox's own acts", async () => {
    await inFolder((folder) => {
      writeEvents(folder);
      const ask = (...rules: RuleFolder["rules"]) => judge(folder, [], { rules, unusable: [] }).findings.length;
      assert.equal(ask(rule("process_creation", { "Image|endswith": "/curl", "ParentImage|endswith": "/sample" })), 1);
      assert.equal(ask(rule("file_event", { "TargetFilename|startswith": "/etc/cron.d/", Image: "/tmp/sample" })), 1);
      assert.equal(ask(rule("file_event", { TargetFilename: "/etc/cron.d/system" })), 0, "the system's");
      assert.equal(
        ask(rule("network_connection", { DestinationIp: "192.0.2.1", DestinationPort: 80, Initiated: "true" })),
        1,
      );
      assert.equal(ask(rule("file.written", { path: "/etc/cron.d/run" }, "rebox")), 1);
      const { findings, asked, unusable } = judge(folder, [], {
        rules: [rule("process_creation", { "CommandLine|contains": "http" })],
        unusable: [{ file: "b.yml", line: 1, title: "B", reason: "it is for windows" }, { file: "c.yml", line: 1, title: "C", reason: "it is for windows" }], // prettier-ignore
      });
      assert.deepEqual([findings[0]!.name, findings[0]!.score, findings[0]!.kind], ["id-1", 7, "sigma"]);
      assert.deepEqual([asked, unusable], [{ signatures: 0, rules: 1 }, { "it is for windows": 2 }]);
      return Promise.resolve();
    });
  });

  test("goes on without a signature that fails, and says so", async () => {
    await inFolder((folder) => {
      writeEvents(folder);
      let calls = 0;
      const bad = signature("bad", 9, () => {
        calls++;
        throw new Error("no such thing");
      });
      const never = { ...bad, name: "never", watch: () => { throw new Error("cannot begin"); } }; // prettier-ignore
      const good = signature("good", 4, ({ type }) => type === "process.ended" && "it ended");
      const { findings, failures } = judge(folder, [bad, never, good], NO_RULES);
      assert.deepEqual(findings.map(({ name, evidence }) => [name, evidence[0]!.text]), [["good", "it ended"]]); // prettier-ignore
      assert.deepEqual(failures, [{ name: "never", reason: "cannot begin" }, { name: "bad", reason: "no such thing" }]); // prettier-ignore
      assert.equal(calls, 1);
      return Promise.resolve();
    });
  });

  test("scores by the worst finding and a tenth of each other one", () => {
    assert.deepEqual([[], [1], [7, 5], [5, 5, 5], [10, 9]].map((scores) => sumScores(scores)), [0, 1, 7.5, 6, 10]); // prettier-ignore
    assert.deepEqual([0, 2, 2.1, 6, 6.1].map(judgeScore), ["inconspicuous", "inconspicuous", "suspicious", "suspicious", "malicious"]); // prettier-ignore
  });

  test("stands first in the report, with hostile names as plain text, and gives a layer of techniques", async () => {
    await inFolder((folder) => {
      writeEvents(folder);
      appendEvent(folder, "file.written", { pid: 10, process: "sample", path: "/tmp/<script>alert(1)</script>" });
      const found = [
        signature("cron", 5, ({ type }) => type === "file.written"),
        signature("net", 3, ({ type }) => type === "network.connected", ["T1105", "T1053.003"]),
      ];
      const events = gatherEvents(folder, new Trial(found, NO_RULES));
      writeReport(folder, { id: 7, created: new Date().toISOString(), options: {}, phases: [], auxiliary: [], log: [] } as unknown as AnalysisRecord, events); // prettier-ignore
      const page = readFileSync(join(folder, "report.html"), "utf8");
      assert.ok(page.indexOf('id="verdict"') < page.indexOf('id="summary"'));
      assert.match(page, /5\.3<\/span> of 10: <b class="suspicious">suspicious<\/b>/);
      assert.ok(page.includes("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.includes("<script>"));
      const report = JSON.parse(readFileSync(join(folder, "report.json"), "utf8")) as { verdict: { score: number } };
      assert.equal(report.verdict.score, 5.3);
      const layer = JSON.parse(readFileSync(join(folder, "navigator.json"), "utf8")) as ReturnType<
        typeof createNavigatorLayer
      >;
      assert.deepEqual(layer.techniques.map(({ techniqueID, score }) => [techniqueID, score]), [["T1053.003", 5], ["T1105", 3]]); // prettier-ignore
      assert.equal(layer.versions.layer, "4.5");
      return Promise.resolve();
    });
  });
});
