import { toPlainLine, toPlainText } from "../../config/terminal-text";
import type { OperationOutcome } from "../../investigation/operation";
import { encodeResult } from "../../investigation/result";
import type { OperationsOutcome } from "../../investigation/run-operations";
import { ExitStatus } from "../exit-status";

/** Options for showing results. */
export interface ShowOptions {
  /** Results for people in place of JSON. */
  readonly isPretty: boolean;
  /** Only those that have found something, or nothing. */
  readonly only?: "found" | "notfound" | undefined;
}

/** Returns the text for standard output about one operation, with a line feed; "" for an unwanted result. */
export function showOutcome({ result, printed, usage }: OperationOutcome, { isPretty, only }: ShowOptions): string {
  if (usage !== undefined) return `${toPlainText(usage)}\n`;
  if (only === "found" && !result.foundanything) return "";
  if (only === "notfound" && (result.foundanything || !result.success)) return "";
  if (!isPretty) return `${encodeResult(result)}\n`;
  return (printed ?? []).map((line) => `${toPlainLine(line)}\n`).join("");
}

/** Returns the text for standard output about an action: its status, and each result in the place of its operation. */
export function showAction({ status, outcomes }: OperationsOutcome): string {
  const results = outcomes.map(({ result }) => encodeResult(result));
  const operations = outcomes.map(({ module, status: own }) => ({ module, status: own }));
  return `{"status":"${status}","operations":${JSON.stringify(operations)},"results":[${results.join(",")}]}\n`;
}

/** Returns the exit status: of several operations, one that has failed decides; else one that has found something. */
export function getInvestigationStatus({ status, outcomes }: OperationsOutcome): number {
  if (outcomes.some(({ usage }) => usage !== undefined)) return ExitStatus.success;
  if (status !== "success") return ExitStatus.failure;
  return outcomes.some(({ result }) => result.foundanything) ? ExitStatus.success : ExitStatus.notFound;
}
