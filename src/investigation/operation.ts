import type { InvestigationResult } from "./investigation-result";

/** One question to one module. */
export interface Operation {
  readonly module: string;
  /** An object, or what compressParameters() makes of it. */
  readonly parameters?: unknown;
  /** In place of parameters: the line with the message as it came, whatever it is. */
  readonly line?: string | null;
  /** In place of parameters: words of a command line, for the module's paramsParser(). */
  readonly words?: readonly string[];
}

/** How an operation has ended; the words are MIG's. */
export type OperationStatus = "success" | "failed" | "timeout" | "cancelled" | "expired";

/** What has become of an operation. */
export interface OperationOutcome {
  readonly module: string;
  readonly status: OperationStatus;
  readonly result: InvestigationResult;
  /** What the module has logged, its alerts among it. */
  readonly log: readonly string[];
  /** The result for people; undefined when that was not asked for. */
  readonly printed?: readonly string[];
  /** The module's help, in place of a run. */
  readonly usage?: string;
}

/** How operations are carried out. */
export interface OperationOptions {
  /** Aborted when whoever asked has gone: nothing waits for a result any more. */
  readonly signal?: AbortSignal;
  /** Aborted to have the modules told to stop; what they answer is waited for. */
  readonly stop?: AbortSignal;
  /** After which a module is ended, in milliseconds. */
  readonly timeoutMs?: number;
  /** When the operations lose their meaning, in milliseconds since 1970: a module is ended then, too. */
  readonly expiresAt?: number;
  /** Has modules mask what they call private. */
  readonly isPrivate?: boolean;
  /** Asks for the result for people; "found" without errors, statistics and empty results. */
  readonly print?: "all" | "found" | undefined;
  /** Where modules may leave files. */
  readonly folder?: string | undefined;
}

/** MIG's moduletimeout. */
export const DEFAULT_TIMEOUT_MS = 300_000;
