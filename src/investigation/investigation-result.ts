/** What an investigation answers, as JSON: MIG's format (seed 003, 1.3). */
export interface InvestigationResult {
  /** At least one instance of what was looked for was found. */
  readonly foundanything: boolean;
  /** The module has run to its end; it says nothing of what was found. */
  readonly success: boolean;
  /** What was found, in a form of the module's own: facts, and never contents of files or memory. */
  readonly elements: unknown;
  /** Counts and times of the run, in a form of the module's own; "pausedms" is among them. */
  readonly statistics: unknown;
  /** Without success the one failure; with it what did not prevent the end; null for none. */
  readonly errors: readonly string[] | null;
}

/** Makes the result of a run that has failed. */
export function createFailure(message: string): InvestigationResult {
  return { foundanything: false, success: false, elements: null, statistics: null, errors: [message] };
}

/** What must not reach a terminal raw, and stays raw in JSON: DEL, C1 controls, what turns the direction of writing. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Writes a result as one line of JSON, in MIG's order of members. Text of the guest cannot steer a terminal: such characters
 * are escaped, which JSON.parse() undoes.
 *
 * @throws TypeError for what has no form in JSON: a bigint, an object that contains itself
 */
export function encodeResult({ foundanything, success, elements, statistics, errors }: InvestigationResult): string {
  const members = { foundanything, success, elements: elements ?? null, statistics: statistics ?? null, errors };
  return JSON.stringify(members).replace(UNSAFE, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * Reads what encodeResult(), or a module of its own, has written.
 *
 * @throws SyntaxError, TypeError for what is no result
 */
export function decodeResult(text: string): InvestigationResult {
  const value = JSON.parse(text) as Partial<InvestigationResult> | null;
  const { success, foundanything, errors = null } = value ?? {};
  const isList = errors === null || (Array.isArray(errors) && errors.every((error) => typeof error === "string"));
  if (typeof success !== "boolean" || typeof foundanything !== "boolean" || !isList) {
    throw new TypeError("this is no result: it needs success, foundanything and errors");
  }
  return { foundanything, success, elements: value?.elements ?? null, statistics: value?.statistics ?? null, errors };
}
