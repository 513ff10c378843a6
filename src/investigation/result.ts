import type { InvestigationRun } from "./module";

/** The answer of an investigation, as JSON in MIG's format. */
export interface InvestigationResult {
  /** Whether at least one of the wanted things was found. */
  readonly foundanything: boolean;
  /** Whether the module has run to its end, whether it found something or not. */
  readonly success: boolean;
  /** The findings, in a form of the module's own: facts, and never contents of files or memory. */
  readonly elements: unknown;
  /** Counts and times of the run, in a form of the module's own; "pausedms" is among them. */
  readonly statistics: unknown;
  /** Without success the one failure; with success the problems that did not prevent the end; null for none. */
  readonly errors: readonly string[] | null;
}

/** Makes the result of a run that has failed. */
export function createFailure(message: string): InvestigationResult {
  return { foundanything: false, success: false, elements: null, statistics: null, errors: [message] };
}

/** Characters that JSON leaves raw and a terminal must not get: DEL, C1 controls, characters that turn the direction of writing. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Writes a result as one line of JSON, in MIG's order of members. Text of the guest cannot steer a terminal: the characters that
 * could are escaped, and JSON.parse() undoes that.
 *
 * @throws TypeError for a value without a form in JSON: a bigint, an object that contains itself
 */
export function encodeResult({ foundanything, success, elements, statistics, errors }: InvestigationResult): string {
  const members = { foundanything, success, elements: elements ?? null, statistics: statistics ?? null, errors };
  return JSON.stringify(members).replace(UNSAFE, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * Reads a result that encodeResult(), or a module with its own writer, has written.
 *
 * @throws SyntaxError or TypeError for a text that is no result
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

/**
 * Writes a result for people with the printer of its module.
 *
 * @param foundOnly leaves out errors, statistics and empty results
 */
export function printResult(
  run: InvestigationRun,
  result: InvestigationResult,
  module: string,
  foundOnly: boolean,
): string[] {
  const errors = foundOnly ? [] : (result.errors ?? []).map((error) => `error: ${error}`);
  if (!run.printResults) return [`[error] no printer available for module '${module}'`, ...errors];
  // A run that has failed has no elements to print.
  if (!result.success) return errors;
  try {
    return run.printResults(result, foundOnly);
  } catch (error) {
    return [`[error] the printer of module '${module}' failed: ${describeFailure(error)}`, ...errors];
  }
}

/** Describes a thrown value in one line, which the user reads in a result. */
export function describeFailure(error: unknown): string {
  if (error instanceof Error) return error.message === "" ? error.name : error.message;
  try {
    return String(error);
  } catch {
    return "something was thrown that has no text";
  }
}
