import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import Database from "libsql";
import { AnalysisError } from "../errors";
import type { ArchiveRequest, MachineChoice, StartRequest } from "./target/start-request";
import type { AnalysisOutcome, AnalysisPhase } from "./analysis-record";
import { findProcess, isRunning, type ProcessIdentity } from "../machinery/processes/process-identity";

/** The priority of an analysis that was given none. */
export const LOWEST_PRIORITY = 1;

/** The order of those that wait, for commands and for a server alike: a higher priority first, then the older. */
export const TURNS = `ORDER BY coalesce(json_extract(request, '$.submission.priority'), json_extract(request, '$.priority'), ${LOWEST_PRIORITY}) DESC, id`;

/** A request for an analysis. */
export interface AnalysisRequest {
  /** Name of a machine; undefined takes any that fits. */
  readonly machine: string | undefined;
  /** Absolute path of the file that is analysed. */
  readonly target: string | undefined;
  readonly command: string | undefined;
  readonly options: Readonly<Record<string, string>>;
  /** In seconds. */
  readonly timeoutS: number;
  /** The guest is started again behind the target's end, and watched for so long, in seconds; it is not without it. */
  readonly rebootS?: number;
  /** Absolute paths. */
  readonly scripts: readonly string[];
  /** The network, as `--network` has it; undefined is that of the machine's settings. */
  readonly network?: string | undefined;
  /** How the target is started; by itself, in its folder, without it. */
  readonly start?: StartRequest;
  /** The member that is taken out of the target, which is an archive. */
  readonly archive?: ArchiveRequest;
  /** Which machines may be taken where none is named. */
  readonly choice?: MachineChoice;
  /** From 1 to 3: of those that wait, the highest begins first; LOWEST_PRIORITY without it. */
  readonly priority?: number | undefined;
  /** Who asked a server for it, and how. */
  readonly submission?: Submission;
  /** In a cluster: the only host that may have it. */
  readonly host?: string | undefined;
  /** The number in its record and report, where another lab has asked for it: the number there. */
  readonly reportedAs?: number;
}

/** How an analysis came to the queue of a server. */
export interface Submission {
  /** The name of the user. */
  readonly by: string;
  /** 1 to 3: of those that wait, the highest begins first. */
  readonly priority: number;
  /** It does not begin before this moment: ISO 8601, UTC, with milliseconds. */
  readonly notBefore?: string | undefined;
  /** A text of the user's, which rebox does not read. */
  readonly note?: string | undefined;
  /** The fields of another tool's form, as its client sent them: they are told back. */
  readonly form?: Readonly<Record<string, string>> | undefined;
}

/** An analysis as the database knows it. */
export interface AnalysisEntry extends AnalysisRequest {
  readonly id: number;
  /** ISO 8601, UTC. */
  readonly created: string;
  readonly phase: AnalysisPhase;
  readonly outcome: AnalysisOutcome | undefined;
  readonly reason: string | undefined;
  readonly ended: string | undefined;
}

/** An analysis as it is stored. */
export interface AnalysisRow {
  readonly id: number;
  readonly created: string;
  readonly phase: AnalysisPhase;
  readonly outcome: AnalysisOutcome | null;
  readonly reason: string | null;
  readonly ended: string | null;
  readonly owner: string;
  readonly request: string;
}

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE IF NOT EXISTS analyses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created TEXT NOT NULL,
    phase TEXT NOT NULL,
    outcome TEXT,
    reason TEXT,
    ended TEXT,
    owner TEXT NOT NULL,
    request TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS analyses_phase ON analyses (phase);
  CREATE INDEX IF NOT EXISTS analyses_outcome ON analyses (outcome);`;

/** The owner of analyses that belong to no process: a server of the lab begins them, this one or the next. */
export const NOBODY = "null";

/** The longest wait for another process' transaction, in milliseconds. */
const BUSY_MS = 30_000;

/**
 * The analyses of a lab: those that wait, run and have ended. Several processes may use the file at once; each analysis belongs to the
 * process that makes it, and one whose process is gone without an end is taken over by claimLost().
 */
export class AnalysisDatabase {
  /** The connection, for what else the file has. */
  readonly connection: Database.Database;

  /** Opens the file, and makes it when it does not exist. */
  constructor(file: string) {
    mkdirSync(dirname(file), { recursive: true });
    this.connection = new Database(file);
    this.connection.exec(`PRAGMA busy_timeout = ${BUSY_MS};`);
    this.connection.exec(SCHEMA);
  }

  /**
   * Adds an analysis to the queue, behind those of its priority; it belongs to this process.
   *
   * @returns its number, which no other analysis of the lab ever has
   */
  add(request: AnalysisRequest): number {
    const { lastInsertRowid } = this.connection
      .prepare("INSERT INTO analyses (created, phase, owner, request) VALUES (?, 'queued', ?, ?)")
      .run(new Date().toISOString(), getOwnIdentity(), JSON.stringify(request));
    return Number(lastInsertRowid);
  }

  /**
   * Lets an analysis of this process begin when its turn has come: fewer than `limit` run, and none waits that has a higher priority,
   * or the same and is older.
   *
   * @param limit how many may run at once
   * @returns whether it has begun
   */
  begin(id: number, limit: number): boolean {
    return this.connection
      .transaction(() => {
        const active = this.select(`WHERE outcome IS NULL ${TURNS}`).filter(({ owner }) => isAlive(owner));
        const running = active.filter(({ phase }) => phase !== "queued");
        const next = active.find(({ phase }) => phase === "queued");
        if (running.length >= limit || next?.id !== id) return false;
        this.setPhase(id, "waiting for a machine");
        return true;
      })
      .immediate() as boolean;
  }

  /** Lists the analyses that wait for a machine, too, and whose turn comes before that of this one. */
  listAhead(id: number): AnalysisEntry[] {
    const waiting = this.select(`WHERE phase = 'waiting for a machine' AND outcome IS NULL ${TURNS}`);
    const own = waiting.findIndex((row) => row.id === id);
    return waiting
      .slice(0, Math.max(own, 0))
      .filter(({ owner }) => isAlive(owner))
      .map(toEntry);
  }

  setPhase(id: number, phase: AnalysisPhase): void {
    this.connection.prepare("UPDATE analyses SET phase = ? WHERE id = ? AND outcome IS NULL").run(phase, id);
  }

  /** Ends an analysis; one that has ended stays as it is. */
  end(id: number, outcome: AnalysisOutcome, reason: string | undefined): void {
    this.connection
      .prepare(
        "UPDATE analyses SET phase = 'ended', outcome = ?, reason = ?, ended = ? WHERE id = ? AND outcome IS NULL",
      )
      .run(outcome, reason ?? null, new Date().toISOString(), id);
  }

  /**
   * Makes an analysis that has begun this process' own.
   *
   * @throws Error when it has ended, or there is none
   */
  takeOver(id: number): AnalysisEntry {
    const statement = this.connection.prepare("UPDATE analyses SET owner = ? WHERE id = ? AND outcome IS NULL");
    if (statement.run(getOwnIdentity(), id).changes !== 1)
      throw new AnalysisError(`there is no analysis ${id} that goes on`);
    return this.find(id)!;
  }

  /**
   * Takes over the analyses whose processes are gone, for ending them: of several that ask, one gets each.
   *
   * @param others numbers of analyses that are left alone
   * @returns them as they were
   */
  claimLost(others: ReadonlySet<number> = new Set()): AnalysisEntry[] {
    // Nearly always there are none, and asking must not keep others from writing.
    if (this.findLost(others).length === 0) return [];
    return this.connection
      .transaction(() => {
        const lost = this.findLost(others);
        for (const { id } of lost) this.takeOver(id);
        return lost.map(toEntry);
      })
      .immediate() as AnalysisEntry[];
  }

  /** Finds an analysis by its number. */
  find(id: number): AnalysisEntry | undefined {
    return this.select("WHERE id = ?", id).map(toEntry)[0];
  }

  /** Returns whether another process, which an analysis belongs to, runs: for a moment it does after the end, too. */
  hasProcess(id: number): boolean {
    return this.select("WHERE id = ?", id).some(({ owner }) => (findOwner(owner)?.pid ?? process.pid) !== process.pid);
  }

  /** Lists the newest analyses, the newest first. */
  list(limit = 100): AnalysisEntry[] {
    return this.select("ORDER BY id DESC LIMIT ?", limit).map(toEntry);
  }

  close(): void {
    this.connection.close();
  }

  private findLost(others: ReadonlySet<number>): AnalysisRow[] {
    const unended = this.select("WHERE outcome IS NULL AND owner <> ?", NOBODY);
    return unended.filter(({ id, owner }) => !others.has(id) && !isAlive(owner));
  }

  /** Reads rows. @param rest the part of the statement behind the table */
  select(rest: string, ...values: readonly (string | number)[]): AnalysisRow[] {
    return this.connection.prepare(`SELECT * FROM analyses ${rest}`).all(...values) as AnalysisRow[];
  }
}

/** Makes an analysis of a row. */
export function toEntry(row: AnalysisRow): AnalysisEntry {
  return {
    ...(JSON.parse(row.request) as AnalysisRequest),
    id: row.id,
    created: row.created,
    phase: row.phase,
    outcome: row.outcome ?? undefined,
    reason: row.reason ?? undefined,
    ended: row.ended ?? undefined,
  };
}

function getOwnIdentity(): string {
  return JSON.stringify(findProcess(process.pid));
}

/** Finds the process that an analysis belongs to, and that runs. @param owner as a row has it */
export function findOwner(owner: string): ProcessIdentity | undefined {
  const identity = JSON.parse(owner) as ProcessIdentity | null;
  return identity !== null && isRunning(identity) ? identity : undefined;
}

function isAlive(owner: string): boolean {
  return findOwner(owner) !== undefined;
}
