import { existsSync, mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { Lab } from "../lab";
import type { AnalysisDatabase, AnalysisEntry } from "./analysis-database";
import { getAnalysisFolder, getProcessMark } from "./analysis-places";
import { type AnalysisRecord, readRecord, writeRecord } from "./analysis-record";
import { killMarked } from "./marked-processes";
import { orderEvents } from "./order-events";
import { gatherEvents } from "./report/gather-events";
import { AnalysisIndex } from "./search/analysis-index";
import { writeReport } from "./report/write-report";
import type { Doors } from "../../scripts/loading/doors";

/** The parts of a lab that cleaning up needs. */
export interface Cleaning {
  /** Absolute. */
  readonly labFolder: string;
  readonly database: AnalysisDatabase;
  readonly api: Doors;
  /** Writes the report and the facts for the search elsewhere; without it that is done here, and nothing else in the meantime. */
  writeReport?(folder: string, record: AnalysisRecord): Promise<void>;
  log(text: string): void;
}

/**
 * Ends an analysis whose process is gone: kills what it has started, stops its machine, and completes its record, its report and the
 * database. It belongs to this process.
 *
 * @param reason why its process is gone
 */
export async function endAbandoned(cleaning: Cleaning, entry: AnalysisEntry, reason: string): Promise<void> {
  const { labFolder, database } = cleaning;
  const folder = getAnalysisFolder(labFolder, entry.id);
  const { phase } = entry;
  await killMarked(getProcessMark(labFolder, entry.id));
  const why = `${reason} while: ${phase}`;
  // One that was not begun has nothing that could be cleaned up.
  if (!existsSync(folder)) return database.end(entry.id, "lost", why);
  const problem = await stopMachine(cleaning, entry, folder);
  for (const name of ["target.disc", ".disc", ".reserve", ".target"])
    rmSync(join(folder, name), { recursive: true, force: true });
  const record = completeRecord(folder, entry, problem === undefined ? why : `${why}; ${problem}`);
  try {
    mkdirSync(folder, { recursive: true });
    writeRecord(folder, record);
    if (cleaning.writeReport === undefined) reportAbandoned(database, folder, record);
    else await cleaning.writeReport(folder, record);
  } catch (error) {
    cleaning.log(`the record of analysis ${entry.id} cannot be written: ${(error as Error).message}`);
  }
  database.end(entry.id, record.outcome ?? "lost", record.reason);
}

/** Writes the report of an analysis whose process is gone, and its facts for the search. @param record its last one */
export function reportAbandoned(database: AnalysisDatabase, folder: string, record: AnalysisRecord): void {
  orderEvents(folder);
  const events = gatherEvents(folder);
  writeReport(folder, record, events);
  new AnalysisIndex(database).add(folder, { ...record, id: Number(basename(folder)) }, events);
}

/**
 * Ends the analyses whose processes are gone, for any reason.
 *
 * @param others numbers of analyses that are left alone
 * @returns how many there were
 */
export async function endLostAnalyses(cleaning: Cleaning, others?: ReadonlySet<number>): Promise<number> {
  const lost = cleaning.database.claimLost(others);
  for (const entry of lost) {
    await endAbandoned(cleaning, entry, "rebox was gone");
    cleaning.log(`analysis ${entry.id} was lost: rebox was gone while: ${entry.phase}`);
  }
  return lost.length;
}

/** Stops the machine that it had. Returns what went wrong. */
async function stopMachine(cleaning: Cleaning, entry: AnalysisEntry, folder: string): Promise<string | undefined> {
  const name = findRecord(folder)?.machine?.name ?? entry.machine;
  if (name === undefined) return undefined;
  try {
    const { labFolder, api, log } = cleaning;
    const lab = await Lab.open(labFolder, { api, log });
    try {
      return await stopUnused(lab, name, `what analysis ${entry.id} has left`);
    } finally {
      await lab.close();
    }
  } catch (error) {
    return `its machine ${name} could not be stopped: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function stopUnused(lab: Lab, name: string, owner: string): Promise<string | undefined> {
  const { manager } = lab;
  const { quarantine } = manager.machines.get(name);
  const lease = quarantine === undefined ? await lab.takeFree(owner, name) : undefined;
  // Somebody else uses it by now, and so has seen that it was off.
  if (quarantine === undefined && lease === undefined) return undefined;
  try {
    const { success, reason } = await manager.request("stop", name);
    return success ? undefined : `its machine ${name} could not be stopped: ${reason}`;
  } finally {
    await lease?.release();
  }
}

/** Keeps the end that a record has already; ends it as lost otherwise. */
function completeRecord(folder: string, entry: AnalysisEntry, reason: string): AnalysisRecord {
  const record = findRecord(folder);
  if (record?.outcome !== undefined) return record;
  const { id, reportedAs = id, command, options, timeoutS, created } = entry;
  const begun = { id: reportedAs, command, options, timeoutS, created, machine: undefined, target: undefined };
  return {
    ...(record ?? { ...begun, phases: [], auxiliary: [], log: [] }),
    ...{ outcome: "lost", reason, ended: new Date().toISOString() },
  };
}

function findRecord(folder: string): AnalysisRecord | undefined {
  try {
    return readRecord(folder);
  } catch {
    return undefined;
  }
}
