import type { Act, GatheredEvents } from "../report/gather-events";
import { isOfTarget } from "../report/process-tree";

/**
 * The texts of what targets did, a document for each analysis. Its words alone are kept (contentless_delete: SQLite 3.43), so the events
 * themselves are not there twice.
 */
export const TEXTS_SCHEMA = `
  CREATE VIRTUAL TABLE IF NOT EXISTS event_texts USING fts5 (text, content = '', contentless_delete = 1);`;

/** The most text of an analysis that is searched, in characters; the texts that come first in its report. */
export const MOST_TEXT = 2 << 20;
/** A word of its own between two texts, so that no phrase goes over the end of one: SQLite takes private characters for letters. */
const BETWEEN = " \u{E000} ";
/** Facts of an act that are no text of the guest. */
const LEFT_OUT = new Set(["time", "type", "sequence", "pid", "ppid", "origin"]);

/** The part of a report that has the texts by which an analysis is found. */
export type TextSources = Pick<GatheredEvents, "processes" | "knowsTarget" | "network" | "control" | "files">;

/**
 * Collects the texts of what the target of an analysis did, each once: names and command lines of processes, and the facts of acts. Where
 * it was not seen which processes are the target's, those are the texts of all.
 */
export function collectTexts({ processes, knowsTarget, network, control, files }: TextSources): string {
  const texts = new Set<string>();
  let length = 0;
  const add = (value: unknown): void => {
    if (value === undefined || value === null || typeof value === "boolean" || length >= MOST_TEXT) return;
    const text = typeof value === "string" ? value : JSON.stringify(value);
    if (text === "" || texts.has(text)) return;
    texts.add(text);
    length += text.length + BETWEEN.length;
  };
  for (const { name, commandLine, origin } of processes)
    if (!knowsTarget || isOfTarget(origin)) [name, commandLine].forEach(add);
  for (const acts of [network, control, files]) for (const act of acts) addFacts(act, knowsTarget, add);
  return [...texts].join(BETWEEN).slice(0, MOST_TEXT);
}

function addFacts(act: Act, knowsTarget: boolean, add: (value: unknown) => void): void {
  if (knowsTarget && !isOfTarget(act.origin)) return;
  for (const [name, value] of Object.entries(act)) if (!LEFT_OUT.has(name)) add(value);
}

/**
 * Makes of a text the expression by which SQLite finds it: its words in their order, of which the last may be the beginning of one. No
 * part of it is an operator (FTS5, 3.1).
 */
export function toTextMatch(text: string): string {
  return `"${text.replaceAll("\0", " ").replaceAll('"', '""')}" *`;
}
