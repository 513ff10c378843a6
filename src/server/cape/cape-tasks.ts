import { existsSync } from "node:fs";
import { join } from "node:path";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import type { FoundAnalysis } from "../../lab/analysis/search/search-analyses";
import { titleOf } from "../api/analysis-schema";
import type { ShownMachine } from "../machines/machine-watch";

/** The states of CAPE that rebox uses; its clients know them all. */
export type CapeState = "pending" | "running" | "completed" | "reported" | "failed_analysis";

/** Returns the state of an analysis in CAPE's words. */
export function getCapeState(labFolder: string, { id, outcome, phase }: FoundAnalysis): CapeState {
  if (outcome === undefined) return phase === "queued" ? "pending" : phase === "reporting" ? "completed" : "running";
  if (outcome === "finished") return "reported";
  // One that was ended early has a report of what it has seen.
  const hasReport = existsSync(join(getAnalysisFolder(labFolder, id), "report.json"));
  return outcome === "cancelled" && hasReport ? "reported" : "failed_analysis";
}

/** Makes a task of CAPE of an analysis; clients read members by subscript, so all are there. */
export function toCapeTask(labFolder: string, found: FoundAnalysis): Record<string, unknown> {
  const { id, created, ended, outcome, reason, submission, platform, usedMachine } = found;
  const form = submission?.form ?? {};
  const status = getCapeState(labFolder, found);
  const machine = usedMachine ?? found.machine ?? "";
  const [added, completed] = [toCapeTime(created), ended === undefined ? null : toCapeTime(ended)];
  const started = found.phase === "queued" ? null : added;
  const guest = machine === "" ? {} : { id, name: machine, label: machine, platform: platform ?? "", manager: "rebox", status: outcome === undefined ? "running" : "complete", started_on: started, shutdown_on: completed, task_id: id }; // prettier-ignore
  return {
    ...{ id, status, target: titleOf(found), category: "file", cape: "", user_id: 0, tlp: form.tlp ?? null },
    ...{ timeout: found.timeoutS, priority: submission?.priority ?? 1, custom: submission?.note ?? "" },
    ...{ machine, package: form.package ?? "", route: form.route ?? found.network ?? "", options: form.options ?? "" },
    ...{
      platform: form.platform ?? platform ?? "",
      tags: splitTags(form.tags),
      tags_tasks: splitTags(form.tags_tasks),
    },
    ...{ memory: found.options.memory === "yes", enforce_timeout: form.enforce_timeout === "True", clock: toClock(form.clock, created) }, // prettier-ignore
    ...{ added_on: added, started_on: started, completed_on: completed, timedout: reason === "the time was over" },
    ...Object.fromEntries(["analysis", "processing", "signatures", "reporting"].flatMap((step) => [[`${step}_started_on`, started], [`${step}_finished_on`, completed]])), // prettier-ignore
    ...{ dropped_files: null, running_processes: null, api_calls: null, domains: null, files_written: null },
    ...{ signatures_total: null, signatures_alert: null, registry_keys_modified: null, crash_issues: null, anti_issues: null }, // prettier-ignore
    ...{ sample_id: found.sha256 === undefined ? null : id, machine_id: null, malscore: found.score ?? null },
    errors: status === "failed_analysis" ? [reason ?? "the analysis has failed"] : [],
    ...{ guest, sample: toCapeSample(found) },
  };
}

/** Makes a sample of CAPE of the target of an analysis. */
export function toCapeSample({ id, targetSize, md5, sha1, sha256 }: FoundAnalysis): Record<string, unknown> {
  if (sha256 === undefined) return {};
  return {
    ...{ id, file_size: targetSize ?? 0, file_type: "", md5: md5 ?? "", sha1: sha1 ?? "", sha256 },
    ...{ crc32: "", sha512: "", ssdeep: "", source_url: null },
  };
}

/** Makes a machine of CAPE. @param id its place in the list */
export function toCapeMachine(machine: ShownMachine, id: number): Record<string, unknown> {
  const { name, label, platform, ip, state, note, tags, isReserved, isEnabled } = machine;
  return {
    ...{ id, name, label, platform, ip: ip ?? "", arch: "x64", tags: [...tags], interface: null, snapshot: null },
    ...{ locked: !isEnabled || state === "running", locked_changed_on: null, status: note === "" ? state : note },
    ...{ status_changed_on: null, resultserver_ip: "", resultserver_port: "", reserved: isReserved },
  };
}

/** Writes a time as CAPE does: UTC, to the second. */
export function toCapeTime(time: string): string {
  return time.slice(0, 19).replace("T", " ");
}

/** CAPE takes the clock as MM-DD-YYYY HH:MM:SS, and tells it as every other time. */
function toClock(clock: string | undefined, created: string): string {
  const [, month, day, year, rest] = /^(\d\d)-(\d\d)-(\d{4}) (.*)$/.exec(clock ?? "") ?? [];
  return month === undefined ? toCapeTime(created) : `${year}-${month}-${day} ${rest}`;
}

function splitTags(tags: string | undefined): string[] {
  return (tags ?? "").split(",").map((tag) => tag.trim()).filter((tag) => tag !== ""); // prettier-ignore
}
