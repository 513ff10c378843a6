import type { Judgement } from "./score";
import type { SeenAct } from "./signature";

/** The acts of a finding that are kept; of more only the number. */
export const MOST_EVIDENCE = 10;
const LONGEST_TEXT = 500;

/** An act by which something has fired. */
export interface Evidence {
  /** ISO 8601. */
  readonly time: string;
  readonly pid: number | undefined;
  readonly process: string | undefined;
  readonly text: string;
}

/** A signature or rule that has fired. */
export interface Finding {
  readonly kind: "signature" | "sigma" | "yara";
  /** The signature's name; the rule's id, or its file; the name of a rule of YARA. */
  readonly name: string;
  readonly title: string;
  readonly score: number;
  readonly techniques: readonly string[];
  /** How often. */
  count: number;
  /** The first acts. */
  readonly evidence: Evidence[];
}

/** The judgement of an analysis on its target, with its reasons. */
export interface Verdict {
  /** 0 to 10. */
  readonly score: number;
  readonly judgement: Judgement;
  /** The worst first. */
  readonly findings: readonly Finding[];
  readonly asked: { readonly signatures: number; readonly rules: number };
  /** Rules that no analysis can ask: how many for each reason. */
  readonly unusable: Readonly<Record<string, number>>;
  /** Signatures that failed, and why: they were not asked from then on. */
  readonly failures: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * Describes an act as evidence.
 *
 * @param text why it counts; without it, its own facts
 */
export function describeAct(act: SeenAct, text: string | undefined): Evidence {
  const { time, type, doer, pid, process } = act;
  return {
    ...{ time, pid: typeof pid === "number" ? pid : undefined },
    process: doer?.name ?? (typeof process === "string" ? process : undefined),
    text: (text ?? `${type} ${describe(act)}`).slice(0, LONGEST_TEXT),
  };
}

/** The facts of an act beside those that each has. */
function describe({
  time: _time,
  type: _type,
  doer: _doer,
  pid: _pid,
  process: _process,
  origin: _origin,
  sequence: _sequence,
  ...facts
}: SeenAct): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}
