import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type AnalysisRecord, writeRecord } from "../../src/lab/analysis/analysis-record";
import { appendEvent } from "../../src/lab/analysis/event-log";
import { getArchiveProgram } from "../../src/lab/analysis/export/archive-program";
import { type ExportForm, exportAnalysis } from "../../src/lab/analysis/export/export-analysis";
import type { createMispEvent } from "../../src/lab/analysis/export/misp-event";
import { gatherEvents } from "../../src/lab/analysis/report/gather-events";
import { writeReport } from "../../src/lab/analysis/report/write-report";
import type { NavigatorLayer } from "../../src/lab/verdict/navigator-layer";
import { defineSignature } from "../../src/lab/verdict/signature";
import { Trial } from "../../src/lab/verdict/trial";
import { NEEDS_BROWSER } from "../kit/lab/browser";
import { askReference, needReference } from "../kit/lab/reference-python";

/** What test/kit/lab/export_reference.py has read. */
interface ReadExports {
  readonly misp: unknown;
  readonly isKnown: boolean;
  readonly slices: readonly (readonly [track: string[], name: string, categories: string[], depth: number, since: number, until: number])[]; // prettier-ignore
  readonly instants: readonly unknown[];
}

const SHA256 = "ab".repeat(32);
const RECORD = {
  ...{
    id: 7,
    created: "2026-01-02T03:04:05.000Z",
    outcome: "finished",
    options: {},
    phases: [],
    auxiliary: [],
    log: [],
  },
  target: { name: "sample", size: 3, sha256: SHA256 },
  network: { network: "simulated", isOpen: false, isAsked: true, problems: [], names: [{ name: "c2.example", type: "A", began: "", count: 1 }] }, // prettier-ignore
} as unknown as AnalysisRecord;

const signal = new AbortController().signal;
let folder: string;
let outside: string;

before(() => {
  outside = mkdtempSync(join(tmpdir(), "rebox-export-"));
  folder = join(outside, "7");
  mkdirSync(folder);
  writeRecord(folder, RECORD);
  const add = (type: string, facts: object) => appendEvent(folder, type, facts as Record<string, unknown>);
  add("process.created", { pid: 10, ppid: 1, name: "sh" });
  add("process.executed", { pid: 10, name: "sample", commandLine: "./sample -x", executable: "/tmp/sample", origin: "target" }); // prettier-ignore
  add("process.created", { pid: 11, ppid: 10, name: "sample", origin: "target" });
  add("network.connected", { pid: 11, process: "sample", protocol: "tcp", address: "192.0.2.9", port: 443 });
  add("network.connected", { pid: 11, process: "sample", protocol: "tcp", address: "127.0.0.1", port: 80 });
  add("file.written", { pid: 11, process: "sample", path: "/etc/cron.d/r\u00fcn" });
  add("process.executed", { pid: 11, name: "curl", commandLine: "curl x", executable: "/usr/bin/curl", origin: "target" }); // prettier-ignore
  add("process.ended", { pid: 11, name: "curl" });
  add("process.created", { pid: 20, ppid: 2, name: "cron" });
  add("file.written", { pid: 20, process: "cron", path: "/var/cron" });
  const job = defineSignature({
    ...{ name: "job", title: "It makes a job", score: 7, techniques: ["T1053.003"] },
    see: ({ type }) => type === "file.written",
  });
  writeReport(folder, RECORD, gatherEvents(folder, new Trial([job], { rules: [], unusable: [] })));
  symlinkSync("/etc/hostname", join(folder, "link"));
  writeFileSync(join(folder, ".hidden"), "");
  mkdirSync(join(folder, "recording/start"), { recursive: true });
  for (const name of ["log", "start/ram"]) writeFileSync(join(folder, "recording", name), "of a recording");
});
after(() => rmSync(outside, { recursive: true, force: true }));

async function exportAs(form: ExportForm): Promise<string> {
  const file = join(outside, `out.${form}`);
  await exportAnalysis(folder, form, file, signal);
  return file;
}

async function readExport(form: ExportForm): Promise<unknown> {
  return JSON.parse(readFileSync(await exportAs(form), "utf8"));
}

describe("an analysis that is exported", () => {
  test(
    "is read by PyMISP, and by Perfetto's own definition, as what it is",
    { skip: needReference("export") },
    async () => {
      const read = askReference("export", "export_reference.py", {
        misp: await exportAs("misp"),
        perfetto: await exportAs("perfetto"),
      }) as ReadExports;
      const event = (await readExport("misp")) as ReturnType<typeof createMispEvent>;
      const { uuid, info, date, Tag, Attribute } = event.Event;
      const attributes = Attribute.map(({ type, category, value, to_ids, comment }) => [type, category, value, to_ids, comment]); // prettier-ignore
      assert.deepEqual(read.misp, { uuid, info, date, tags: Tag.map(({ name }) => name), attributes });

      assert.equal(read.isKnown, true, "the definition knows every field");
      const sample = ["the target", "sample 10"];
      const curl = ["the target", "curl 11"];
      const cron = ["the system", "cron 20"];
      const slices = read.slices.map(([track, name, categories, depth]) => [track, name, categories, depth]);
      assert.deepEqual(slices.toSorted((one, other) => String(one).localeCompare(String(other))), [
      [cron, "cron", ["process"], 0],
      [curl, "curl x", ["program"], 1],
      [curl, "curl", ["process"], 0],
      [sample, "./sample -x", ["program"], 1],
      [sample, "sample", ["process"], 0],
    ]); // prettier-ignore
      for (const [track, , , depth, since, until] of read.slices) {
        const outer = read.slices.find((one) => depth > 0 && String(one[0]) === String(track) && one[3] === depth - 1);
        assert.ok(since <= until && (outer === undefined || (outer[4] <= since && until <= outer[5])));
      }
      const connection = { protocol: "tcp", address: "192.0.2.9", port: 443 };
      assert.deepEqual(read.instants, [
        [curl, "network.connected", ["network"], connection],
        [curl, "network.connected", ["network"], { protocol: "tcp", address: "127.0.0.1", port: 80 }],
        [curl, "file.written", ["file"], { path: "/etc/cron.d/r\u00fcn" }],
        [cron, "file.written", ["file"], { path: "/var/cron" }],
      ]);
    },
  );

  test("as an event for MISP has the sample, what it reached and wrote, and techniques; the same each time", async () => {
    const event = (await readExport("misp")) as ReturnType<typeof createMispEvent>;
    const values = event.Event.Attribute.map(({ type, category, value, to_ids }) => [type, category, value, to_ids]);
    assert.deepEqual(values, [
      ["filename", "Payload delivery", "sample", false],
      ["sha256", "Payload delivery", SHA256, true],
      ["domain", "Network activity", "c2.example", true],
      ["ip-dst|port", "Network activity", "192.0.2.9|443", true],
      ["filename", "Artifacts dropped", "/etc/cron.d/r\u00fcn", false],
    ]);
    assert.deepEqual([event.Event.info, event.Event.date, event.Event.threat_level_id], ["rebox: sample", "2026-01-02", "1"]); // prettier-ignore
    assert.ok(event.Event.Tag.some(({ name }) => name === 'mitre-attack:technique="T1053.003"'));
    const uuids = [event.Event.uuid, ...event.Event.Attribute.map(({ uuid }) => uuid)];
    assert.equal(new Set(uuids).size, uuids.length);
    for (const uuid of uuids) assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/); // prettier-ignore
    assert.deepEqual(await readExport("misp"), event);
  });

  test("is printed as a PDF file by a browser", { skip: NEEDS_BROWSER }, async () => {
    const text = readFileSync(await exportAs("pdf"), "latin1");
    assert.match(text, /^%PDF-1\.\d/);
    assert.match(text, /%%EOF\s*$/);
    assert.ok([...text.matchAll(/\/Type \/Page\b(?!s)/g)].length >= 1);
    assert.match(text, /\/Title \(/);
    assert.deepEqual(readdirSync(outside).filter((name) => name.startsWith(".rebox")), []); // prettier-ignore
  });

  test("that has no report cannot be printed, and says so", async () => {
    const empty = join(outside, "empty");
    mkdirSync(empty);
    await assert.rejects(exportAnalysis(empty, "pdf", join(outside, "none.pdf"), signal), /report\.html is not there/);
  });

  test("as a layer for the Navigator has its techniques", async () => {
    const { techniques, domain } = (await readExport("navigator")) as NavigatorLayer;
    assert.deepEqual([domain, techniques.map(({ techniqueID }) => techniqueID)], ["enterprise-attack", ["T1053.003"]]);
  });

  test("as one zip file opens with the customary password only, and holds no links, nothing hidden and no golden state", async () => {
    const zip = await exportAs("zip");
    const files = ["analysis.json", "events.jsonl", "navigator.json", "recording/log", "report.html", "report.json", "summary.json"]; // prettier-ignore
    const list = execFileSync("unzip", ["-Z1", zip], { encoding: "utf8" }).trim().split("\n");
    assert.deepEqual(list.toSorted(), files);
    for (const [program, args] of [
      ["unzip", ["-p", "-P", "infected", zip, "events.jsonl"]],
      [getArchiveProgram(), ["x", "-so", "-pinfected", zip, "events.jsonl"]],
    ] as const)
      assert.ok(execFileSync(program, args).equals(readFileSync(join(folder, "events.jsonl"))), program);
    assert.throws(() => execFileSync("unzip", ["-p", "-P", "wrong", zip, "events.jsonl"], { stdio: "pipe" }));
    // An existing file is replaced, not added to.
    await exportAs("zip");
  });
});
