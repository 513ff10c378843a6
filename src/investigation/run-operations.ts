import type { Operation, OperationOptions, OperationOutcome, OperationStatus } from "./operation";
import { type OperationHost, runOperation } from "./run-operation";

/** What has become of several operations. */
export interface OperationsOutcome {
  /** The worst of the operations': a failure overrides success. */
  readonly status: OperationStatus;
  /** Each in the place of its operation. */
  readonly outcomes: readonly OperationOutcome[];
}

const WORST_FIRST: readonly OperationStatus[] = ["failed", "timeout", "cancelled", "expired", "success"];

/** Carries out operations at the same time. It does not reject. */
export async function runOperations(
  host: OperationHost,
  operations: readonly Operation[],
  options: OperationOptions = {},
): Promise<OperationsOutcome> {
  const outcomes = await Promise.all(operations.map((operation) => runOperation(host, operation, options)));
  const status = WORST_FIRST.find((each) => outcomes.some((outcome) => outcome.status === each)) ?? "success";
  return { status, outcomes };
}
