import { describeFailure } from "./describe-failure";
import type { InvestigationRun } from "./investigation-module";
import type { InvestigationResult } from "./investigation-result";

/**
 * Writes a result for people, as its module does it.
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
