import { OtherAnalysisError } from "../errors";
import type { ClusterSubmission } from "./analysis-queue";

/**
 * Checks that what is handed in again is what was handed in before: a copy of a lab gives the numbers of the lab to analyses of its own.
 *
 * @throws OtherAnalysisError when it is another analysis
 */
export function checkSame(known: ClusterSubmission, given: ClusterSubmission): void {
  if (describe(known) === describe(given)) return;
  const { origin, number } = given;
  throw new OtherAnalysisError(`the cluster knows analysis ${number} of ${origin} as another one: is there a copy of this lab? Give one of them another name by \`lab\` in conf/cluster.yaml`); // prettier-ignore
}

/** Describes by what an analysis is known. */
function describe({ request, target, scripts }: ClusterSubmission): string {
  const { command = null, timeoutS } = request;
  return JSON.stringify([target?.sha256 ?? null, scripts.map(({ sha256 }) => sha256), command, timeoutS]);
}
