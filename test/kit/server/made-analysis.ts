import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AnalysisDatabase, AnalysisRequest } from "../../../src/lab/analysis/analysis-database";
import { getAnalysisFolder } from "../../../src/lab/analysis/analysis-places";
import { type AnalysisRecord, writeRecord } from "../../../src/lab/analysis/analysis-record";
import { gatherEvents } from "../../../src/lab/analysis/report/gather-events";
import { writeReport } from "../../../src/lab/analysis/report/write-report";
import { AnalysisIndex } from "../../../src/lab/analysis/search/analysis-index";
import type { Verdict } from "../../../src/lab/verdict/verdict";
import { PROJECT } from "../project";
import { writeFiles } from "./test-server";

/** An analysis that a test makes as if it had run. */
export interface MadeAnalysis {
  /** The target's name and content. */
  readonly name?: string;
  readonly content?: string;
  readonly command?: string;
  /** Its events, beside those of its process. */
  readonly events?: readonly Readonly<Record<string, unknown>>[];
  readonly verdict?: Verdict;
  /** Names that were asked for. */
  readonly domains?: readonly string[];
  /** The content of a file that the target wrote, by its path in the guest. */
  readonly artefacts?: Readonly<Record<string, string>>;
  readonly hasPicture?: boolean;
  /** The kernel's calls of its process, with their numbers. */
  readonly calls?: Readonly<Record<string, number>>;
  /** What has led to acts of its process. */
  readonly stacks?: readonly Readonly<Record<string, unknown>>[];
  /** Frames of the network, as a file of pcapng or pcap. */
  readonly frames?: Buffer;
  /** The memory of its process at its end. */
  readonly core?: Buffer;
}

/** The process of an analysis that is made. */
const PID = 100;

/** The beginning of an analysis that stands nowhere else. */
const EVIDENCE_TIME = "2026-01-01T12:00:00.000Z";

/** Adds an analysis that has ended, with its record, events, report and facts for the search. @returns its number */
export function addAnalysis(labFolder: string, database: AnalysisDatabase, made: MadeAnalysis): number {
  const { name = "sample", content = "#!/bin/sh\n", command } = made;
  const hashOf = (kind: string, text = content) => createHash(kind).update(text).digest("hex");
  const [md5, sha1, sha256] = [hashOf("md5"), hashOf("sha1"), hashOf("sha256")];
  const target = join(labFolder, "samples", sha256, name.replace(/[/\\]/g, "_"));
  const request: AnalysisRequest = {
    ...{ machine: undefined, target, command, options: {}, timeoutS: 60, scripts: [] },
    submission: { by: "analyst", priority: 1 },
  };
  const id = database.add(request);
  const startMs = Date.parse(database.find(id)!.created);
  const folder = getAnalysisFolder(labFolder, id);
  mkdirSync(folder, { recursive: true });
  writeFiles(labFolder, { [target.slice(labFolder.length + 1)]: content });
  const record = makeRecord(id, startMs, made, { name, size: content.length, sha256 });
  const events = [
    { type: "process.created", pid: 100, ppid: 1, name: "sample", commandLine: `./${name}`, origin: "target" },
    { type: "process.executed", pid: 100, name: "sample", commandLine: `./${name}`, executable: `/tmp/${name}`, origin: "target" }, // prettier-ignore
    ...(made.events ?? []),
    ...(made.hasPicture === true ? [{ type: "screenshot", file: "shots/0001.png" }] : []),
  ].map(({ type, ...facts }, at) => ({
    time: new Date(startMs + at * 10).toISOString(),
    sequence: at + 1,
    ...facts,
    type,
  }));
  writeFileSync(join(folder, "events.jsonl"), events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  writeFileSync(join(folder, "sample.json"), JSON.stringify({ size: content.length, md5, sha1, sha256, entropy: 1, strings: { count: 0, first: [] }, problems: [] })); // prettier-ignore
  if (made.calls !== undefined) writeFiles(folder, { "syscalls.json": JSON.stringify({ processes: [{ pid: 100, name: "sample", calls: made.calls }] }) }); // prettier-ignore
  if (made.stacks !== undefined) writeFiles(folder, { "stacks.json": JSON.stringify({ stacks: made.stacks }) });
  if (made.frames !== undefined) writeFiles(folder, { "network.pcapng": made.frames });
  writeArtefacts(folder, startMs, made.artefacts ?? {}, made.core);
  if (made.hasPicture === true) writeFiles(folder, { "shots/0001.png": readFileSync(join(PROJECT, PICTURE)) });
  writeRecord(folder, record);
  const gathered = { ...gatherEvents(folder), verdict: made.verdict };
  writeReport(folder, record, gathered);
  new AnalysisIndex(database).add(folder, record, gathered);
  database.end(id, "finished", "the target ended with status 0");
  return id;
}

/** A picture that is there. */
const PICTURE = "docs/pictures/report.png";

function makeRecord(
  id: number,
  startMs: number,
  { command, domains = [] }: MadeAnalysis,
  target: AnalysisRecord["target"],
): AnalysisRecord {
  // prettier-ignore
  const names = domains.map((name) => ({ name, type: "A", process: undefined, began: new Date(startMs).toISOString(), count: 1 })); // prettier-ignore
  return {
    ...{ id, target, command, options: {}, timeoutS: 60, auxiliary: [], log: [] },
    machine: { name: "office", machinery: "quick", platform: "linux" },
    network: { network: "simulated", isOpen: false, isAsked: false, problems: [], names },
    ...{ created: new Date(startMs).toISOString(), ended: new Date(startMs + 5_000).toISOString() },
    phases: [{ phase: "running", began: new Date(startMs).toISOString() }],
    ...{ outcome: "finished", reason: "the target ended with status 0" },
  };
}

function writeArtefacts(
  folder: string,
  startMs: number,
  artefacts: Readonly<Record<string, string>>,
  core: Buffer | undefined,
): void {
  const all = Object.entries(artefacts).map(([path, content]) => ({ path, content, sha256: createHash("sha256").update(content).digest("hex") })); // prettier-ignore
  if (all.length === 0 && core === undefined) return;
  for (const { content, sha256 } of all) writeFiles(folder, { [`artefacts/${sha256}`]: content });
  const files = all.map(({ path, content, sha256 }) => ({ time: new Date(startMs).toISOString(), moment: "closed", path, pid: 100, process: "sample", size: content.length, sha256 })); // prettier-ignore
  const name = `0001-${PID}.core`;
  if (core !== undefined) writeFiles(folder, { [`cores/${name}`]: core });
  const cores = core === undefined ? [] : [{ time: new Date(startMs).toISOString(), pid: PID, process: "sample", core: name, threads: 1, size: core.length }]; // prettier-ignore
  writeFileSync(join(folder, "artefacts.json"), JSON.stringify({ files, types: {}, cores }));
}

/** A verdict with one finding. */
export const VERDICT: Verdict = {
  ...{ score: 7.5, judgement: "malicious", asked: { signatures: 12, rules: 0 }, unusable: {}, failures: [] },
  findings: [
    {
      ...{ kind: "signature", name: "hides-files", title: "It hides files", score: 7.5, techniques: ["T1564.001"], count: 2 }, // prettier-ignore
      evidence: [{ time: EVIDENCE_TIME, pid: 100, process: "sample", text: "file.renamed to=/tmp/.x" }],
    },
  ],
};
