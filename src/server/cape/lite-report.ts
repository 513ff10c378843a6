import type { Act, ReportedProcess } from "../../lab/analysis/report/gather-events";
import { isOfTarget } from "../../lab/analysis/report/process-tree";
import type { AnalysisReport } from "../../lab/analysis/report/report";
import { groupByParent, NO_PARENT } from "../results/group-processes";
import { toCapeTime } from "./cape-tasks";
import { createLiteNetwork } from "./lite-network";

/** The calls that are told of a process; the report of rebox has all acts. */
const MOST_CALLS = 2_000;
/** The depth of the tree: its readers call themselves for each level. */
const DEEPEST = 100;
/** CAPE's highest severity. */
const HIGHEST_SEVERITY = 8;
/** Facts of an act that its call has in a member of its own. */
const LEFT_OUT = new Set(["time", "type", "sequence", "pid", "process", "origin"]);

/** The members of a report that are read for CAPE's clients. */
export const LITE_MEMBERS = ["analysis", "sample", "verdict", "processes", "knowsTarget", "network", "files", "control", "artefacts", "modules", "log"] as const; // prettier-ignore

/** The part of a report that CAPE's clients read. */
export type LiteSource = Pick<AnalysisReport, (typeof LITE_MEMBERS)[number]>;

/**
 * Makes of a report the one that CAPE's clients read (lite.json): their members, with what rebox knows. Acts stand where CAPE has calls
 * of its monitor, which rebox has none of.
 */
export function createLiteReport(report: LiteSource): Record<string, unknown> {
  const { analysis, verdict, log, artefacts } = report;
  const { id, target, machine, created, ended = created, options } = analysis;
  const errors = log.filter(({ level }) => level === "error").map(({ text }) => text);
  return {
    info: {
      ...{ id, version: "rebox", category: target === undefined ? "command" : "file", custom: "", package: "" },
      ...{ started: toCapeTime(created), ended: toCapeTime(ended), duration: Math.round((Date.parse(ended) - Date.parse(created)) / 1000) }, // prettier-ignore
      ...{ route: analysis.network?.network ?? "none", timeout: analysis.reason === "the time was over", options },
      machine: machine === undefined ? {} : { id, name: machine.name, label: machine.name, manager: machine.machinery, platform: machine.platform, status: "stopped", started_on: toCapeTime(created), shutdown_on: toCapeTime(ended) }, // prettier-ignore
    },
    debug: { errors, log: log.map(({ time, level, text }) => `${toCapeTime(time)} ${level}: ${text}`).join("\n") },
    target: { category: "file", file: createTarget(report) },
    signatures: (verdict?.findings ?? []).map(({ kind, name, title, score, techniques, evidence }) => ({
      ...{ name, description: title, severity: Math.min(HIGHEST_SEVERITY, Math.max(1, Math.round(score))), weight: 1 },
      ...{ categories: [kind], families: [], references: [], alert: false, confidence: 100 },
      data: evidence.map(({ pid, process, text }) => ({ [`${process ?? "process"} ${pid ?? ""}`.trim()]: text })),
      ttp: Object.fromEntries(techniques.map((technique) => [technique, {}])),
    })),
    malscore: verdict?.score ?? null,
    malstatus: verdict?.judgement ?? null,
    network: createLiteNetwork(report),
    behavior: createBehavior(report),
    dropped: artefacts.map(({ path, size, sha256, description }) => ({ name: [baseName(path)], path: sha256 === undefined ? "" : `files/${sha256}`, guest_paths: [path], size, sha256: sha256 ?? "", type: description ?? "" })), // prettier-ignore
    CAPE: { payloads: [], configs: [] },
  };
}

function createTarget({ analysis, sample }: LiteSource): Record<string, unknown> {
  const { target } = analysis;
  const { md5 = "", sha1 = "" } = sample ?? {};
  return {
    ...{ name: target?.name ?? "", path: "", size: target?.size ?? 0, md5, sha1, sha256: target?.sha256 ?? "" },
    ...{ type: sample?.type?.description ?? "", crc32: "", ssdeep: "" },
  };
}

function createBehavior(report: LiteSource): Record<string, unknown> {
  const { processes, knowsTarget, files, network, control } = report;
  const own = knowsTarget ? processes.filter(({ origin }) => isOfTarget(origin)) : processes;
  const acts = [...files, ...network, ...control].filter(({ origin }) => !knowsTarget || isOfTarget(origin));
  const byPid = new Map<unknown, Act[]>();
  for (const act of acts) {
    const others = byPid.get(act.pid);
    if (others === undefined) byPid.set(act.pid, [act]);
    else others.push(act);
  }
  const paths = (pattern: RegExp) => [...new Set(files.filter(({ type, path }) => pattern.test(type) && typeof path === "string").map(({ path }) => String(path)))]; // prettier-ignore
  return {
    processes: own.map((process) => ({
      ...describeProcess(process),
      ...{ parent_id: process.ppid ?? 0, first_seen: process.began, threads: [] },
      calls: (byPid.get(process.pid) ?? [])
        .filter((act) => isWithin(act, process))
        .slice(0, MOST_CALLS)
        .map(toCall),
    })),
    processtree: createTree(own),
    summary: {
      ...{ files: paths(/^file\./), write_files: paths(/^file\.written$/), delete_files: paths(/^file\.removed$/) },
      ...{ read_files: [], keys: [], mutexes: [], executed_commands: own.flatMap(({ commandLine }) => commandLine ?? []) }, // prettier-ignore
    },
  };
}

function describeProcess({ pid, name, commandLine }: ReportedProcess): Record<string, unknown> {
  const environ = { CommandLine: commandLine ?? name };
  return { process_id: pid, process_name: name, module_path: commandLine?.split(" ")[0] ?? name, environ };
}

/** A pid comes again: an act is of the process that lived at its time. */
function isWithin({ time }: Act, { began, ended }: ReportedProcess): boolean {
  return time >= began && (ended === undefined || time <= ended);
}

function toCall({ time, type, ...facts }: Act, id: number): Record<string, unknown> {
  const given = Object.entries(facts).filter(([name]) => !LEFT_OUT.has(name));
  return {
    ...{ id, timestamp: time, category: type.split(".")[0], api: type, status: true, return: "", repeated: 0 },
    arguments: given.map(([name, value]) => ({
      name,
      value: typeof value === "string" ? value : JSON.stringify(value),
    })),
  };
}

function createTree(processes: readonly ReportedProcess[]): Record<string, unknown>[] {
  const children = groupByParent(processes);
  const build = (parent: number, depth: number): Record<string, unknown>[] =>
    (children.get(parent) ?? []).map((process) => {
      const { process_id: pid, process_name: name, ...facts } = describeProcess(process);
      const below = depth < DEEPEST ? build(process.id, depth + 1) : [];
      return { pid, name, parent_id: process.ppid ?? 0, ...facts, threads: [], children: below };
    });
  return build(NO_PARENT, 0);
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
