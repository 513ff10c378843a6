import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"; // prettier-ignore
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { type AnalysisRecord, readRecord, writeRecord } from "../../src/lab/analysis/analysis-record";
import { appendEvent, EVENTS_FILE, readEvents } from "../../src/lab/analysis/event-log";
import { markup } from "../../src/lab/analysis/report/markup";
import { buildProcessTree } from "../../src/lab/analysis/report/process-tree";
import { TIMELINE_LIMIT } from "../../src/lab/analysis/report/gather-events";
import { createMispEvent } from "../../src/lab/analysis/export/misp-event";
import { type AnalysisReport, gatherReport } from "../../src/lab/analysis/report/report";
import { renderReportPage } from "../../src/lab/analysis/report/report-page";
import { ReportParts } from "../../src/lab/analysis/report/report-parts";
import { listSigmaEvents } from "../../src/lab/verdict/sigma/sigma-events";
import { writeReport } from "../../src/lab/analysis/report/write-report";

const START = "2026-01-02T03:04:05.000Z";

const RECORD: AnalysisRecord = {
  id: 7,
  machine: { name: "deb12", machinery: "rebox", platform: "linux" },
  target: { name: "sample", size: 3, sha256: "ab" },
  command: "./sample",
  options: { free: "yes" },
  timeoutS: 60,
  created: START,
  ended: "2026-01-02T03:04:15.500Z",
  phases: [{ phase: "running", began: "2026-01-02T03:04:07.250Z" }],
  outcome: "finished",
  reason: "the command ended",
  auxiliary: [{ name: "sniffer", state: "failed", reason: "no tcpdump", errors: ["no tcpdump"] }],
  log: [{ time: START, level: "warn", text: "no tcpdump" }],
};

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "rebox-report-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const page = (record = RECORD) => renderReportPage(gatherReport(folder, record), folder, new ReportParts(folder));
const at = (seconds: number) => new Date(Date.parse(START) + seconds * 1000).toISOString();

describe("the record of an analysis", () => {
  test("is read as it was written, and what is no record is refused with its path", () => {
    writeRecord(folder, RECORD);
    assert.deepEqual(readRecord(folder), RECORD);
    writeFileSync(join(folder, "analysis.json"), "[]");
    assert.throws(() => readRecord(folder), /analysis\.json is not the record of an analysis/);
  });
});

describe("an analysis whose target did not run", () => {
  test("has no verdict, and says so in the report and in MISP's event", () => {
    const record = { ...RECORD, outcome: "failed", hasRun: false } as const;
    const verdictOf = (text: string) => /<section id="verdict">[^]*?<\/section>/.exec(text)![0].replace(/\s+/g, " ");
    assert.match(verdictOf(page(record)), /<b>No verdict:<\/b> the target did not run\./);
    const { Event } = createMispEvent(gatherReport(folder, record));
    assert.deepEqual([Event.threat_level_id, Event.Tag], ["4", []]);
    assert.ok(Event.Attribute.some(({ type, value }) => type === "comment" && value === "no verdict: the target did not run")); // prettier-ignore
    assert.match(verdictOf(page(RECORD)), /No verdict:<\/b> no signatures were asked/);
  });

  test("has one of YARA's rules that fit its bytes, which says that it is about these alone", () => {
    const verdict = { score: 8, judgement: "malicious", findings: [], asked: { signatures: 1, rules: 0 }, unusable: {}, failures: [] } as const; // prettier-ignore
    const report = { ...gatherReport(folder, { ...RECORD, hasRun: false }), verdict };
    assert.match(renderReportPage(report, folder, new ReportParts(folder)).replace(/\s+/g, " "), /The target did not run: this is about its bytes alone/); // prettier-ignore
  });
});

describe("the events of an analysis", () => {
  test("are read in their order, also over the border of a chunk, with addresses as text", () => {
    const long = "x".repeat(100_000);
    appendEvent(folder, "one", { pgd: 0x1000n, text: "ü\n" });
    appendEvent(folder, "two", { long });
    const [one, two] = [...readEvents(folder)];
    assert.deepEqual([one!.type, one!.pgd, one!.text], ["one", "0x1000", "ü\n"]);
    assert.deepEqual([two!.type, two!.long], ["two", long]);
  });

  test("are kept when the last line is torn, and lines that are none are left out", () => {
    appendEvent(folder, "one", {});
    appendFileSync(join(folder, EVENTS_FILE), 'null\n{"type": 3}\n{"time": "2026-');
    assert.deepEqual(
      [...readEvents(folder)].map(({ type }) => type),
      ["one"],
    );
  });

  test("cannot be given a type or time of another by their facts", () => {
    appendEvent(folder, "one", { type: "two" });
    assert.equal([...readEvents(folder)][0]!.type, "one");
  });
});

describe("the tree of processes", () => {
  test("has each below its parent, with its last name, and a pid that comes again as another", () => {
    const tree = buildProcessTree([
      { time: at(1), type: "process.created", pid: 10, ppid: 1, name: "sh" },
      { time: at(2), type: "process.created", pid: 11, ppid: 10, name: "sh" },
      { time: at(3), type: "process.created", pid: 11, ppid: 10, name: "ls", commandLine: "ls -l" },
      { time: at(4), type: "process.ended", pid: 11 },
      { time: at(5), type: "process.created", pid: 11, ppid: 10, name: "id" },
    ]);
    const shape = (nodes: typeof tree): unknown =>
      nodes.map((node) => [node.pid, node.name, node.commandLine, shape(node.children)]);
    assert.deepEqual(shape(tree), [[10, "sh", undefined, [[11, "ls", "ls -l", []], [11, "id", undefined, []]]]]); // prettier-ignore
  });
});

describe("programs that were executed", () => {
  test("have the hash of their file, or the reason why there is none, in the report and for rules", () => {
    const sha256 = "ab".repeat(32);
    const programs = [
      { program: 1, path: "/bin/one", size: 3, sha256 },
      { program: 2, path: "/bin/two", size: 4, left: "it has <4> bytes" },
    ];
    writeFileSync(join(folder, "programs.json"), JSON.stringify({ programs }));
    for (const [pid, name] of ["one", "two", "three"].entries()) {
      appendEvent(folder, "process.created", { pid, ppid: 1, name, origin: "target" });
      appendEvent(folder, "process.executed", { pid, name, commandLine: name, executable: `/bin/${name}`, program: pid + 1, origin: "target" }); // prettier-ignore
    }
    const report = gatherReport(folder, RECORD);
    assert.deepEqual(
      report.processes.map(({ executable, sha256: hash, unhashed }) => [executable, hash, unhashed]),
      [
        ["/bin/one", sha256, undefined],
        ["/bin/two", undefined, "it has <4> bytes"],
        ["/bin/three", undefined, undefined],
      ],
    );
    const executed = report.timeline.filter(({ type }) => type === "process.executed");
    assert.deepEqual(executed.map((event) => [event["sha256"], event["unhashed"], event["program"]])[0], [sha256, undefined, undefined]); // prettier-ignore
    const text = page();
    assert.ok(text.includes(`title="/bin/one: SHA-256 ${sha256}"`) && text.includes('title="/bin/two: no SHA-256: it has &lt;4&gt; bytes"')); // prettier-ignore
    const [sigma] = [...listSigmaEvents({ ...executed[0]!, doer: undefined })].filter(({ category }) => category === "process_creation"); // prettier-ignore
    assert.equal(sigma!.find("Hashes")?.text, `SHA256=${sha256.toUpperCase()}`);
  });

  test("are as they were recorded where the list of them is damaged", () => {
    writeFileSync(join(folder, "programs.json"), '{"programs": [null, {"program": "1"}');
    appendEvent(folder, "process.created", { pid: 1, ppid: 1, name: "one", origin: "target" });
    appendEvent(folder, "process.executed", { pid: 1, name: "one", executable: "/bin/one", program: 1, origin: "target" }); // prettier-ignore
    assert.equal(gatherReport(folder, RECORD).processes[0]!.executable, "/bin/one");
  });
});

describe("the report", () => {
  test("shows what happened, each act once, with seconds after the beginning", () => {
    appendFileSync(
      join(folder, EVENTS_FILE),
      [
        { time: at(2.5), type: "process.created", pid: 10, ppid: 1, name: "sample", commandLine: "./sample -x" },
        { time: at(3), type: "network.connected", pid: 10, process: "sample", address: "192.0.2.9", port: 8080 },
        { time: at(4), type: "file.written", pid: 10, process: "sample", path: "/tmp/dropped" },
        { time: at(5), type: "file.written", pid: 10, process: "sample", path: "/tmp/dropped" },
      ]
        .map((event) => `${JSON.stringify(event)}\n`)
        .join(""),
    );
    const report = gatherReport(folder, RECORD);
    assert.deepEqual(report.files.map(({ path }) => path), ["/tmp/dropped"]); // prettier-ignore
    assert.equal(report.counts["file.written"], 2);
    const text = page();
    for (const wanted of ["sample -x", "2.500 s", "192.0.2.9", "port=8080", "/tmp/dropped", "no tcpdump", "finished"]) {
      assert.ok(text.includes(wanted), wanted);
    }
  });

  test("shows the target's own processes and acts, and folds away what rebox and the system did", () => {
    const process = (what: string, pid: number, facts: object) => ({ type: `process.${what}`, pid, ...facts });
    const written = (pid: number, path: string) => ({ type: "file.written", pid, process: "any", path });
    for (const { type, ...facts } of [
      // The shell of the console has pid 5: rebox types dd there, and then starts the target.
      process("created", 10, { ppid: 5, name: "dd" }),
      written(10, "/copied"),
      process("ended", 10, { name: "dd" }),
      process("created", 11, { ppid: 5, name: "sh" }),
      process("executed", 11, { name: "sh", commandLine: "sh -c exec ./mal", executable: "/bin/sh" }),
      process("executed", 11, { name: "mal", commandLine: "./mal", executable: "/tmp/mal", origin: "target" }),
      process("created", 12, { ppid: 11, name: "mal" }),
      // Without the target's environment it is the target's all the same.
      process("executed", 12, { name: "child", commandLine: "child", executable: "/child" }),
      process("created", 20, { ppid: 1, name: "cron" }),
      written(12, "/stolen"),
      written(20, "/var/cron"),
      written(1, "/run/init"),
      process("ended", 11, { name: "mal" }),
    ]) {
      appendEvent(folder, type, facts);
    }
    const report = gatherReport(folder, RECORD);
    const origins = Object.fromEntries(report.processes.map(({ name, origin }) => [name, origin]));
    assert.deepEqual(origins, { dd: "rebox", mal: "target", child: "target", cron: "system" });
    const files = Object.fromEntries(report.files.map(({ path, origin }) => [path, origin]));
    assert.deepEqual(files, { "/copied": "rebox", "/stolen": "target", "/var/cron": "system", "/run/init": "system" });
    const [, shown, folded] = /id="files">([^]*?)<details>([^]*?)<\/section>/.exec(page())!;
    assert.ok(shown!.includes("/stolen") && !shown!.includes("/copied"));
    assert.match(folded!, /What rebox ran in the guest[^]*\/copied[^]*What the guest&#39;s system did[^]*\/var\/cron/);
  });

  test("is of a size that grows with the number of processes, however deep their chain is", () => {
    const lines: string[] = [];
    for (let pid = 1; pid <= 8000; pid++) {
      lines.push(JSON.stringify({ time: at(1), type: "process.created", pid, ppid: pid - 1, name: "chain" }));
    }
    appendFileSync(join(folder, EVENTS_FILE), `${lines.join("\n")}\n`);
    writeReport(folder, RECORD);
    const sizes = ["report.json", "report.html"].map((name) => statSync(join(folder, name)).size);
    assert.ok(
      sizes.every((size) => size < 8 << 20),
      sizes.join(),
    );
    const { processes } = JSON.parse(readFileSync(join(folder, "report.json"), "utf8")) as AnalysisReport;
    assert.deepEqual([processes.length, processes.at(-1)!.parent], [8000, 7999]);
  });

  test("escapes whatever the guest says: markup, quotes, escape codes, turned text", () => {
    const evil = `<script>alert("1")</script>'&\u001b[31m\u202e`;
    appendEvent(folder, evil, { [evil]: evil });
    appendEvent(folder, "process.created", { pid: 1, name: evil, commandLine: evil });
    appendEvent(folder, "screenshot", { file: evil });
    const text = page({ ...RECORD, command: evil, reason: evil, options: { [evil]: evil } });
    for (const raw of ["<script", "\u001b", "\u202e", 'alert("']) assert.ok(!text.includes(raw), raw);
    assert.match(text, /&lt;script&gt;alert\(&quot;1&quot;\)&lt;\/script&gt;&#39;&amp;\\u\{1b\}\[31m\\u\{202e\}/);
  });

  test("holds its pictures, but nothing from outside of the analysis' folder", () => {
    mkdirSync(join(folder, "shots"));
    writeFileSync(join(folder, "shots/1.png"), "picture");
    const secret = `${folder}-secret`;
    writeFileSync(secret, "secret");
    symlinkSync(secret, join(folder, "shots/link.png"));
    for (const file of ["shots/1.png", "shots/link.png", `../${secret.split("/").at(-1)}`, "/etc/passwd"]) {
      appendEvent(folder, "screenshot", { file });
    }
    const pictures = [...page().matchAll(/base64,([^"]*)"/g)].map(([, data]) =>
      Buffer.from(data!, "base64").toString(),
    );
    rmSync(secret);
    assert.deepEqual(pictures, ["picture"]);
  });

  test("lets the page run and load nothing", () => {
    assert.match(
      page(),
      /Content-Security-Policy" content="default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;; img-src data:; frame-src &#39;self&#39; file:"/,
    );
  });

  test("stays readable with more events than it shows", () => {
    const line = `${JSON.stringify({ time: START, type: "tick" })}\n`;
    appendFileSync(join(folder, EVENTS_FILE), line.repeat(TIMELINE_LIMIT + 5));
    const report = gatherReport(folder, RECORD);
    assert.deepEqual([report.timeline.length, report.counts.tick], [TIMELINE_LIMIT, TIMELINE_LIMIT + 5]);
    assert.match(page(), new RegExp(`The first ${TIMELINE_LIMIT} of ${TIMELINE_LIMIT + 5}`));
  });
});

test("a template of HTML escapes what is put in, and takes pieces and lists as they are", () => {
  const items = ["<", "b"].map((text) => markup`<li>${text}</li>`);
  assert.equal(
    markup`<ul class="${'"'}">${items}</ul>${undefined}`.text,
    '<ul class="&quot;"><li>&lt;</li><li>b</li></ul>',
  );
});
