import { createHash } from "node:crypto";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../src/lab/analysis/analysis-places";
import { type AnalysisRecord, writeRecord } from "../src/lab/analysis/analysis-record";
import { ServedQueue } from "../src/lab/analysis/queue/served-queue";
import { gatherEvents } from "../src/lab/analysis/report/gather-events";
import { writeReport } from "../src/lab/analysis/report/write-report";
import { AnalysisIndex, COMPLETE } from "../src/lab/analysis/search/analysis-index";
import { isRunning } from "../src/lab/machinery/processes/process-identity";
import { openAccountDatabase } from "../src/server/accounts/account-database";
import { Sessions } from "../src/server/accounts/sessions";
import { Tokens } from "../src/server/accounts/tokens";
import { Users } from "../src/server/accounts/users";
import { getBuildFolder } from "./guest-arguments";
import { MeasuredProcess } from "./measured-process";

const REBOX = join(getBuildFolder(), "js/src/cli/main.js");
/** How long analyses may take to end, and the time between two looks whether they have, in milliseconds. */
const END_MS = 60_000;
const POLL_MS = 100;
const START_MS = Date.parse("2026-01-01T00:00:00Z");

/** A lab that is served by `rebox serve` in a process of its own. */
export interface ServedLab {
  readonly url: string;
  /** "Bearer ..." of an administrator. */
  readonly authorization: string;
  /** Of a browser's session of the same user. */
  readonly cookie: string;
  /** From the start of the process until it serves, in milliseconds. */
  readonly startMs: number;
  /** The memory of the process and what of files it has in it, in MiB. */
  readMemoryMiB(): number;
  /** The most that it was while something went on, in MiB. */
  readPeakMiB(act: () => Promise<void>): Promise<number>;
}

/** Makes a folder for a lab, and removes it at the end. */
export async function withLabFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-bench-"));
  const remove = () => {
    endAnalyses(folder);
    rmSync(folder, { recursive: true, force: true });
  };
  process.prependListener("exit", remove);
  try {
    mkdirSync(join(folder, "conf"));
    await use(folder);
  } finally {
    process.off("exit", remove);
    remove();
  }
}

/** Ends the analyses that run in a lab, which outlive its server, and waits for their processes: they write into its folder. */
function endAnalyses(folder: string): void {
  const database = openDatabase(folder);
  try {
    const queue = new ServedQueue(database);
    const left = database.select("WHERE outcome IS NULL").flatMap(({ id }) => {
      const answer = queue.cancel(id, "the bench ends");
      return answer.kind === "asked" && answer.process !== undefined ? [answer.process] : [];
    });
    for (const { pid } of left) process.kill(pid, "SIGTERM");
    const endMs = performance.now() + END_MS;
    const sleeping = new Int32Array(new SharedArrayBuffer(4));
    while (left.some((each) => isRunning(each)) && performance.now() < endMs) Atomics.wait(sleeping, 0, 0, POLL_MS);
    for (const each of left) if (isRunning(each)) process.kill(each.pid, "SIGKILL");
  } finally {
    database.close();
  }
}

/** Serves a lab, and ends the server at the end. */
export async function withServedLab(folder: string, use: (lab: ServedLab) => Promise<void>): Promise<void> {
  const { token, cookie } = await addUser(folder);
  await using child = new MeasuredProcess(process.execPath, [REBOX, "serve", "--lab", folder, "--listen", "127.0.0.1:0", "--requests-per-minute", "1000000"]); // prettier-ignore
  const line = await child.waitForLine(/^serving on /);
  const readMiB = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))![1]) / 1024; // prettier-ignore
  await use({
    ...{ url: line.slice("serving on ".length), authorization: `Bearer ${token}`, cookie },
    startMs: performance.now() - child.startedMs,
    readMemoryMiB: () => readMiB("VmRSS"),
    readPeakMiB: async (act) => {
      // "5" begins the peak anew: proc(5), /proc/PID/clear_refs.
      writeFileSync(`/proc/${child.pid}/clear_refs`, "5");
      await act();
      return readMiB("VmHWM");
    },
  });
  // V8's code is kept by servers that end themselves.
  await child.end();
}

async function addUser(folder: string): Promise<{ readonly token: string; readonly cookie: string }> {
  const database = openAccountDatabase(folder);
  try {
    const users = new Users(database);
    if (users.find("anna") === undefined) await users.add("anna", "administrator", "correct horse battery");
    const { token } = new Tokens(database).add("anna", "bench", ["read", "submit", "administer"], undefined);
    return { token, cookie: `rebox_session=${new Sessions(database).begin("anna")}` };
  } finally {
    database.close();
  }
}

/** Fills the database of a lab with analyses that have ended. */
export function addAnalyses(folder: string, count: number): void {
  const database = openDatabase(folder);
  new AnalysisIndex(database);
  const { connection } = database;
  const add = connection.prepare("INSERT INTO analyses (created, phase, outcome, reason, ended, owner, request) VALUES (?, 'ended', ?, 'the target ended with status 0', ?, 'null', ?)"); // prettier-ignore
  const addFacts = connection.prepare(
    `INSERT INTO facts VALUES (?, ?, 4096, ?, ?, ?, 'office', 'linux', ?, ?, ${COMPLETE})`,
  );
  const addFinding = connection.prepare("INSERT INTO findings VALUES (?, 'signature', 'hides-files', 'It hides files', ' T1564.001 ')"); // prettier-ignore
  connection.transaction(() => {
    for (let at = 1; at <= count; at++) {
      const [md5, sha1, sha256] = ["md5", "sha1", "sha256"].map((kind) => createHash(kind).update(`sample ${at}`).digest("hex")); // prettier-ignore
      const target = `${folder}/samples/${sha256}/invoice-${at}.bin`;
      const request = { target, options: {}, timeoutS: 120, scripts: [], start: { args: [], env: {} }, submission: { by: "anna", priority: 1 } }; // prettier-ignore
      const time = new Date(START_MS + at * 60_000).toISOString();
      const id = add.run(time, at % 17 === 0 ? "failed" : "finished", time, JSON.stringify(request)).lastInsertRowid;
      const judgement = at % 5 === 0 ? "malicious" : at % 3 === 0 ? "suspicious" : "inconspicuous";
      addFacts.run(id, `invoice-${at}.bin`, md5, sha1, sha256, (at % 101) / 10, judgement);
      if (at % 5 === 0) addFinding.run(id);
    }
  })();
  database.close();
}

/** Adds an analysis with many events, and writes its report. @returns its number */
export function addLargeAnalysis(folder: string, events: number): number {
  const database = openDatabase(folder);
  try {
    const id = database.add({ machine: undefined, target: undefined, command: "busy", options: {}, timeoutS: 60, scripts: [] }); // prettier-ignore
    const own = join(folder, "analyses", String(id));
    mkdirSync(own, { recursive: true });
    const file = openSync(join(own, "events.jsonl"), "w");
    let text = "";
    const write = (event: object) => {
      text += `${JSON.stringify(event)}\n`;
      if (text.length < 1 << 20) return;
      writeSync(file, text);
      text = "";
    };
    for (let at = 0; at < events; at++) write(makeEvent(at));
    writeSync(file, text);
    closeSync(file);
    const time = new Date(START_MS).toISOString();
    const record: AnalysisRecord = {
      ...{ id, target: undefined, command: "busy", options: {}, timeoutS: 60, auxiliary: [], log: [], created: time },
      ...{ machine: { name: "office", machinery: "rebox", platform: "linux" }, ended: time, phases: [] },
      ...{ outcome: "finished", reason: "the command ended with status 0" },
    };
    writeRecord(own, record);
    const gathered = gatherEvents(own);
    writeReport(own, record, gathered);
    new AnalysisIndex(database).add(own, record, gathered);
    database.end(id, "finished", record.reason);
    return id;
  } finally {
    database.close();
  }
}

/** Makes an event as analyses have them: six of ten are calls, three files, and one the network. */
function makeEvent(at: number): object {
  const time = new Date(START_MS + at).toISOString();
  const common = { time, sequence: at + 1, pid: 100 + (at % 50), process: "sample", origin: "target" };
  if (at < 50) return { ...common, ppid: 1, name: "sample", commandLine: `./sample ${at}`, type: "process.created" };
  if (at % 10 < 6) return { ...common, call: "openat", path: `/usr/lib/x86_64-linux-gnu/lib${at}.so`, type: "syscall" };
  if (at % 10 < 9) return { ...common, path: `/tmp/${at}`, size: at, type: "file.written" };
  return { ...common, protocol: "tcp", address: `203.0.113.${at % 250}`, port: 443, type: "network.connected" };
}
