import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding, Verdict } from "../../verdict/verdict";
import { type AnalysisRecord, readRecord } from "../analysis-record";
import { type FollowedEvent, followEvents } from "../report/follow-events";
import { type NormalisedAct, normaliseAct, normaliseText, withoutTemporaryNames } from "./normalise-act";

/** An act, with how often it was done. */
export interface CountedAct extends NormalisedAct {
  readonly count: number;
}

/** One side of a comparison. */
export interface ComparedAnalysis {
  readonly id: number;
  /** The target's name, or the command. */
  readonly title: string;
  readonly outcome: string | undefined;
  /** Undefined where the analysis has no verdict. */
  readonly score: number | undefined;
  /** Acts that the other analysis does not have, in the order of their first time. */
  readonly only: readonly CountedAct[];
  /** Titles of signatures and rules that have fired in this analysis only. */
  readonly findings: readonly string[];
}

/** The difference of two analyses. */
export interface AnalysisComparison {
  readonly analyses: readonly [ComparedAnalysis, ComparedAnalysis];
  /** The number of different acts that both have. */
  readonly both: number;
}

/**
 * Compares what the targets of two analyses did: by their acts, without pids, times and random names.
 *
 * @param folders of the two analyses
 * @throws AnalysisError, or Error of node:fs, when a folder has no record of an analysis
 */
export function compareAnalyses(folders: readonly [string, string]): AnalysisComparison {
  const [one, other] = [readActs(folders[0]), readActs(folders[1])];
  const both = removeShared(one, other, (act) => act.key) + removeShared(one, other, (act) => act.looseKey);
  const findings = folders.map(readVerdict);
  const describe = (index: 0 | 1, acts: ReadonlyMap<string, KeyedAct>): ComparedAnalysis => {
    const record = readRecord(folders[index]);
    const others = new Set(findings[1 - index]?.findings.map(({ name }) => name));
    return {
      ...{ id: record.id, title: titleOf(record), outcome: record.outcome, score: findings[index]?.score },
      only: [...acts.values()].map(({ key: _key, looseKey: _looseKey, ...act }) => act),
      findings: (findings[index]?.findings ?? []).filter(({ name }) => !others.has(name)).map(({ title }) => title),
    };
  };
  return { analyses: [describe(0, one), describe(1, other)], both };
}

interface KeyedAct extends CountedAct {
  readonly key: string;
  /** Without the names in temporary folders. */
  readonly looseKey: string;
  count: number;
}

/** Reads the acts of an analysis' target, of each kind one; of all processes where it was not seen which are the target's. */
function readActs(folder: string): Map<string, KeyedAct> {
  const pids = new Map<number, string>();
  const acts = new Map<string, KeyedAct>();
  const add = ({ type, process, facts }: NormalisedAct): void => {
    const key = JSON.stringify([type, process, facts]);
    const looseKey = JSON.stringify([type, process, withoutTemporaryNames(facts)]);
    const known = acts.get(key);
    if (known === undefined) acts.set(key, { type, process, facts, count: 1, key, looseKey });
    else known.count++;
  };
  const see = ({ event, doer }: FollowedEvent): void => {
    if (doer !== undefined) pids.set(doer.pid, doer.name);
    if (isAct(event.type)) add(normaliseAct(event, doer, pids));
  };
  const { knowsTarget } = followEvents(folder, [
    { see: (followed) => (followed.origin === undefined ? undefined : see(followed)) },
  ]);
  if (!knowsTarget) followEvents(folder, [{ see }]);
  for (const { name, type } of readRecord(folder).network?.names ?? [])
    add({ type: "network.asked", process: "", facts: `name=${normaliseText(name, pids)} type=${type}` });
  return acts;
}

function isAct(type: string): boolean {
  return type !== "process.created" && type !== "process.ended" && /^(process|file|network|kernel)\./.test(type);
}

/** Removes from both what both have, so often as both have it. @returns how many that were */
function removeShared(
  one: Map<string, KeyedAct>,
  other: Map<string, KeyedAct>,
  keyOf: (act: KeyedAct) => string,
): number {
  const waiting = new Map<string, KeyedAct[]>();
  for (const act of other.values()) {
    const list = waiting.get(keyOf(act));
    if (list === undefined) waiting.set(keyOf(act), [act]);
    else list.push(act);
  }
  let shared = 0;
  for (const act of [...one.values()]) {
    const match = waiting.get(keyOf(act))?.shift();
    if (match === undefined) continue;
    one.delete(act.key);
    other.delete(match.key);
    shared++;
  }
  return shared;
}

function readVerdict(folder: string): { readonly score: number; readonly findings: readonly Finding[] } | undefined {
  try {
    const { verdict } = JSON.parse(readFileSync(join(folder, "report.json"), "utf8")) as { verdict?: Verdict };
    return verdict;
  } catch {
    return undefined;
  }
}

function titleOf({ target, command }: AnalysisRecord): string {
  return [target?.name, command].filter((part) => part !== undefined).join(": ");
}
