import { askReference, needReference } from "./reference-python";

export const NEEDS_SIGMA_REFERENCE = needReference("sigma");

/** A rule as its YAML would be, and events that it is asked about. */
export interface SigmaCase {
  readonly rule: object;
  readonly events: readonly Readonly<Record<string, string | number | undefined>>[];
}

/** Tells for each case which of its events fit, by pySigma and SQLite. */
export function askSigmaReference(cases: readonly SigmaCase[]): boolean[][] {
  return askReference("sigma", "sigma_reference.py", cases) as boolean[][];
}
