import { type AnalysisDatabase, type AnalysisEntry, type AnalysisRow, toEntry } from "../analysis-database";
import { AnalysisIndex } from "./analysis-index";
import { toTextMatch } from "./event-texts";
import { readTallies } from "./tallies";

/** The qualities of the analyses that are looked for: all that are given. */
export interface AnalysisQuery {
  /** MD5, SHA-1 or SHA-256 of the target, in lower case. */
  readonly hash?: string | undefined;
  /** A part of the target's name or of the command. */
  readonly name?: string | undefined;
  /** A part of the name or title of a signature or rule that has fired. */
  readonly signature?: string | undefined;
  /** Of ATT&CK: "T1059", which has "T1059.004" too. */
  readonly technique?: string | undefined;
  /** An address that the target reached for, or a name that was asked for. */
  readonly indicator?: string | undefined;
  /** Words of what the target did, in their order: of paths, command lines, addresses; the last may be the beginning of one. */
  readonly text?: string | undefined;
  readonly judgement?: string | undefined;
  readonly machine?: string | undefined;
  /** The user of the server who asked for it. */
  readonly by?: string | undefined;
  /** "waiting", "running", or an outcome. */
  readonly state?: string | undefined;
  /** Only older ones than this number. */
  readonly before?: number | undefined;
}

/** An analysis with the facts by which it is found. */
export interface FoundAnalysis extends AnalysisEntry {
  /** The target's name, without its path. */
  readonly targetName: string | undefined;
  /** In bytes. */
  readonly targetSize: number | undefined;
  readonly md5: string | undefined;
  readonly sha1: string | undefined;
  readonly sha256: string | undefined;
  /** The machine that it ran on. */
  readonly usedMachine: string | undefined;
  readonly platform: string | undefined;
  /** 0 to 10; undefined without a verdict. */
  readonly score: number | undefined;
  readonly judgement: string | undefined;
}

interface FactRow extends AnalysisRow {
  readonly name: string | null;
  readonly size: number | null;
  readonly md5: string | null;
  readonly sha1: string | null;
  readonly sha256: string | null;
  readonly used: string | null;
  readonly platform: string | null;
  readonly score: number | null;
  readonly judgement: string | null;
}

const COLUMNS =
  "a.*, f.name, f.size, f.md5, f.sha1, f.sha256, f.machine AS used, f.platform, f.score, f.judgement FROM analyses a LEFT JOIN facts f ON f.id = a.id";

/** Answered by the index of outcomes: few go on at a time. */
const GOING_ON = `
  SELECT CASE phase WHEN 'queued' THEN 'waiting' ELSE 'running' END AS state, count(*) AS count FROM analyses WHERE outcome IS NULL GROUP BY 1`;

/** The lengths of hashes in hexadecimal digits, and their columns. */
const HASHES: Readonly<Record<number, string>> = { 32: "md5", 40: "sha1", 64: "sha256" };

/** Finds analyses of a lab. */
export class AnalysisSearch {
  /** @param database whose index is made when it has none */
  constructor(private readonly database: AnalysisDatabase) {
    new AnalysisIndex(database);
  }

  /** Finds an analysis by its number. */
  find(id: number): FoundAnalysis | undefined {
    return this.#select("WHERE a.id = ?", [id])[0];
  }

  /**
   * Lists analyses, the newest first.
   *
   * @param limit at most so many
   */
  list(query: AnalysisQuery, limit: number): FoundAnalysis[] {
    const [conditions, values] = toConditions(query);
    const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
    return this.#select(`${where} ORDER BY a.id DESC LIMIT ?`, [...values, limit]);
  }

  /** Counts analyses by what has become of them: "waiting", "running", and the outcomes. */
  countByState(): Record<string, number> {
    const { connection } = this.database;
    const rows = connection.prepare(GOING_ON).all() as { state: string; count: number }[];
    return { ...readTallies(connection, "outcome"), ...Object.fromEntries(rows.map(({ state, count }) => [state, count])) }; // prettier-ignore
  }

  /** Counts analyses that have a verdict, by it. */
  countByJudgement(): Record<string, number> {
    return readTallies(this.database.connection, "judgement");
  }

  /** Lists the signatures and rules that have fired in most analyses, the commonest first. */
  listCommonFindings(limit: number): { readonly name: string; readonly title: string; readonly count: number }[] {
    return this.database.connection
      .prepare("SELECT name, title, count(*) AS count FROM findings GROUP BY name ORDER BY count DESC, name LIMIT ?")
      .all(limit) as { name: string; title: string; count: number }[];
  }

  #select(rest: string, values: readonly (string | number)[]): FoundAnalysis[] {
    const rows = this.database.connection.prepare(`SELECT ${COLUMNS} ${rest}`).all(...values) as FactRow[];
    return rows.map((row) => ({
      ...toEntry(row),
      ...{ targetName: row.name ?? undefined, targetSize: row.size ?? undefined },
      ...{ md5: row.md5 ?? undefined, sha1: row.sha1 ?? undefined, sha256: row.sha256 ?? undefined },
      ...{ usedMachine: row.used ?? undefined, platform: row.platform ?? undefined },
      ...{ score: row.score ?? undefined, judgement: row.judgement ?? undefined },
    }));
  }
}

function toConditions(query: AnalysisQuery): [string[], (string | number)[]] {
  const conditions: string[] = [];
  const values: (string | number)[] = [];
  const add = (value: string | number | undefined, condition: string, ...given: readonly (string | number)[]): void => {
    if (value === undefined || value === "") return;
    conditions.push(condition);
    values.push(...(given.length === 0 ? [value] : given));
  };
  const { hash, name, signature, technique, indicator, state } = query;
  // What is no hash is in no column.
  if (hash !== undefined) add(hash, `f.${HASHES[hash.length] ?? "sha256"} = ?`);
  const [named, fired] = [toPattern(name), toPattern(signature)];
  add(name, "(f.name LIKE ? ESCAPE '\\' OR json_extract(a.request, '$.command') LIKE ? ESCAPE '\\')", named, named);
  add(signature, "a.id IN (SELECT analysis FROM findings WHERE name LIKE ? ESCAPE '\\' OR title LIKE ? ESCAPE '\\')", fired, fired); // prettier-ignore
  const [exact, below] = [`% ${escapePattern(technique)} %`, `% ${escapePattern(technique)}.%`];
  add(technique, "a.id IN (SELECT analysis FROM findings WHERE techniques LIKE ? ESCAPE '\\' OR techniques LIKE ? ESCAPE '\\')", exact, below); // prettier-ignore
  add(indicator, "a.id IN (SELECT analysis FROM indicators WHERE value = ?)");
  add(query.text, "a.id IN (SELECT rowid FROM event_texts WHERE event_texts MATCH ?)", toTextMatch(query.text ?? ""));
  // Not by the joined table: all that have a common verdict would be sorted by their numbers.
  add(query.judgement, "a.id IN (SELECT id FROM facts WHERE judgement = ?)");
  add(query.machine, "f.machine = ?");
  add(query.by, "json_extract(a.request, '$.submission.by') = ?");
  if (state === "waiting") conditions.push("a.outcome IS NULL AND a.phase = 'queued'");
  else if (state === "running") conditions.push("a.outcome IS NULL AND a.phase <> 'queued'");
  else add(state, "a.outcome = ?");
  add(query.before, "a.id < ?");
  return [conditions, values];
}

function toPattern(text: string | undefined): string {
  return `%${escapePattern(text)}%`;
}

function escapePattern(text = ""): string {
  return text.replace(/[\\%_]/g, "\\$&");
}
