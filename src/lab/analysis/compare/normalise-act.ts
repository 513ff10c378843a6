import type { AnalysisEvent } from "../event-log";
import type { ProcessNode } from "../report/process-tree";

/** Facts that differ between two runs of one program, or that say who did it. */
const LEFT_OUT = new Set([
  ...["time", "type", "sequence", "pid", "ppid", "process", "name", "origin"],
  // The targets differ themselves: that is no act.
  ...["program", "sha256", "unhashed"],
]);
/** Folders for temporary files (file-hierarchy(7)): a name there may be random. */
const TEMPORARY = /^((?:\/var)?\/tmp|\/dev\/shm|\/run|\/var\/run)\/.+$/;
/** The order matters: a time has digits that would be a number. */
const CHANGING: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, "<uuid>"],
  [/\b\d{4}-\d\d-\d\d(?:[T _]\d\d[:.-]?\d\d(?:[:.-]?\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\b/g, "<time>"],
  [/\brebox-[0-9a-f]{16}\b/g, "<target>"],
  [/\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b/gi, "<hex>"],
  [/\b\d{9,}\b/g, "<number>"],
  [/(?<=\/proc\/)\d+(?=\/|$)/g, "<pid>"],
];
/** A word of letters and digits, such as mkstemp(3) and mktemp(1) make of X. */
const WORD = /(?<![A-Za-z0-9])[A-Za-z0-9]{6,32}(?![A-Za-z0-9])/g;

/** An act without what changes from run to run. */
export interface NormalisedAct {
  readonly type: string;
  /** The name of the process that did it. */
  readonly process: string;
  /** The facts: "path=/etc/cron.d/run". */
  readonly facts: string;
}

/**
 * Takes out of an act what changes from run to run: pids, times, names that programs make at random.
 *
 * @param doer who did it
 * @param pids the pids of the analysis, with the names of their processes
 */
export function normaliseAct(
  event: AnalysisEvent,
  doer: ProcessNode | undefined,
  pids: ReadonlyMap<number, string>,
): NormalisedAct {
  const facts = Object.entries(event)
    .filter(([name]) => !LEFT_OUT.has(name))
    .map(([name, value]) => `${name}=${normaliseFact(name, value, pids)}`);
  const process = doer?.name ?? (typeof event["process"] === "string" ? event["process"] : "?");
  return { type: event.type, process: normaliseText(process, pids), facts: facts.join(" ") };
}

/** Returns an act's facts without the names in temporary folders, for acts that no other analysis has as they are. */
export function withoutTemporaryNames(facts: string): string {
  return facts.replace(/(?<==)(\/[^ ]*)/g, (path) => path.replace(TEMPORARY, "$1/<name>"));
}

function normaliseFact(name: string, value: unknown, pids: ReadonlyMap<number, string>): string {
  // Another process, by its number.
  if ((name === "target" || name === "by") && typeof value === "number") return pids.get(value) ?? "<pid>";
  return normaliseText(typeof value === "string" ? value : JSON.stringify(value), pids);
}

/** Takes out of a text what changes from run to run. */
export function normaliseText(text: string, pids: ReadonlyMap<number, string>): string {
  let result = text;
  for (const [changing, word] of CHANGING) result = result.replace(changing, word);
  // A number that is a process', as in run.1234.pid; small ones are too often something else.
  result = result.replace(/(?<![\w])\d{3,8}(?![\w])/g, (digits) => (pids.has(Number(digits)) ? "<pid>" : digits));
  return result.replace(WORD, (word) => (isRandom(word) ? "<random>" : word));
}

/** Whether a word changes so often between capitals, small letters and digits as no word of a language does. */
function isRandom(word: string): boolean {
  const kinds = [...word].map((char) =>
    /\d/.test(char) ? "digit" : char === char.toLowerCase() ? "small" : "capital",
  );
  const changes = kinds.filter((kind, index) => index > 0 && kind !== kinds[index - 1]).length;
  return changes >= 3 && new Set(kinds).size >= (changes >= 4 ? 2 : 3);
}
