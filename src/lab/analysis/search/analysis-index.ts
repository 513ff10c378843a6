import type { Verdict } from "../../verdict/verdict";
import type { AnalysisDatabase } from "../analysis-database";
import type { AnalysisRecord } from "../analysis-record";
import type { Act } from "../report/gather-events";
import { collectTexts, TEXTS_SCHEMA, type TextSources } from "./event-texts";
import { keepTallies } from "./tallies";
import { findSampleFacts } from "../../sample/sample-file";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS facts (
    id INTEGER PRIMARY KEY,
    name TEXT, size INTEGER, md5 TEXT, sha1 TEXT, sha256 TEXT,
    machine TEXT, platform TEXT, score REAL, judgement TEXT, is_complete INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS facts_md5 ON facts (md5);
  CREATE INDEX IF NOT EXISTS facts_sha1 ON facts (sha1);
  CREATE INDEX IF NOT EXISTS facts_sha256 ON facts (sha256);
  CREATE INDEX IF NOT EXISTS facts_judgement ON facts (judgement);
  CREATE INDEX IF NOT EXISTS analyses_by ON analyses (json_extract(request, '$.submission.by'));
  CREATE TABLE IF NOT EXISTS findings (
    analysis INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, title TEXT NOT NULL, techniques TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS findings_analysis ON findings (analysis);
  CREATE TABLE IF NOT EXISTS indicators (analysis INTEGER NOT NULL, value TEXT NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS indicators_value ON indicators (value);
  CREATE INDEX IF NOT EXISTS indicators_analysis ON indicators (analysis);`;

/** The most addresses and names of the network that are kept of an analysis. */
const MOST_INDICATORS = 1_000;
/** The state of an analysis in the index, as is_complete has it: all of its facts, and the texts of its events, which 1 lacks. */
export const COMPLETE = 2;

/** The facts of a target that was handed in, before its analysis has begun. */
export interface TargetFacts {
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly md5: string;
  readonly sha1: string;
  readonly sha256: string;
}

/** The part of a report by which an analysis is found. */
export interface IndexedReport extends TextSources {
  readonly verdict: Verdict | undefined;
  /** The target's acts on the network. */
  readonly network: readonly Act[];
}

/** The facts of analyses by which they are found: in the lab's database, filled when a target is handed in and when an analysis ends. */
export class AnalysisIndex {
  constructor(private readonly database: AnalysisDatabase) {
    database.connection.exec(SCHEMA + TEXTS_SCHEMA);
    keepTallies(database.connection);
  }

  /** Adds what is known of an analysis before it has begun. */
  addTarget(id: number, { name, size, md5, sha1, sha256 }: TargetFacts): void {
    this.database.connection
      .prepare("INSERT INTO facts (id, name, size, md5, sha1, sha256, is_complete) VALUES (?, ?, ?, ?, ?, ?, 0)")
      .run(id, name, size, md5, sha1, sha256);
  }

  /**
   * Adds an analysis that has ended, in place of what was there of it.
   *
   * @param folder the folder of the analysis
   */
  add(folder: string, record: AnalysisRecord, report: IndexedReport): void {
    const { verdict, network } = report;
    const { id, target, machine } = record;
    const texts = collectTexts(report);
    const sample = findSampleFacts(folder);
    const { connection } = this.database;
    const values = new Set<string>((record.network?.names ?? []).map(({ name }) => name));
    for (const { address, origin } of network)
      if (typeof address === "string" && (origin === undefined || origin === "target" || origin === "adopted"))
        values.add(address);
    connection
      .transaction(() => {
        this.remove(id);
        connection
          .prepare("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
          .run(
            ...[id, target?.name ?? null, target?.size ?? null, sample?.md5 ?? null, sample?.sha1 ?? null],
            ...[target?.sha256 ?? null, machine?.name ?? null, machine?.platform ?? null],
            ...[verdict?.score ?? null, verdict?.judgement ?? null, COMPLETE],
          );
        if (texts !== "") connection.prepare("INSERT INTO event_texts (rowid, text) VALUES (?, ?)").run(id, texts);
        const addFinding = connection.prepare("INSERT INTO findings VALUES (?, ?, ?, ?, ?)");
        for (const { kind, name, title, techniques } of verdict?.findings ?? [])
          addFinding.run(id, kind, name, title, ` ${techniques.join(" ")} `);
        const addIndicator = connection.prepare("INSERT INTO indicators VALUES (?, ?)");
        for (const value of [...values].slice(0, MOST_INDICATORS)) addIndicator.run(id, value);
      })
      .immediate();
  }

  /** Removes an analysis. */
  remove(id: number): void {
    const { connection } = this.database;
    connection.prepare("DELETE FROM facts WHERE id = ?").run(id);
    connection.prepare("DELETE FROM event_texts WHERE rowid = ?").run(id);
    for (const table of ["findings", "indicators"]) connection.prepare(`DELETE FROM ${table} WHERE analysis = ?`).run(id); // prettier-ignore
  }

  /** Lists the numbers of analyses that have ended and are not in the index as a whole: older versions of rebox had none. */
  listMissing(): number[] {
    const rows = this.database.connection
      .prepare(
        "SELECT id FROM analyses WHERE outcome IS NOT NULL AND id NOT IN (SELECT id FROM facts WHERE is_complete >= ?)",
      ) // prettier-ignore
      .all(COMPLETE);
    return (rows as { id: number }[]).map(({ id }) => id);
  }
}
