import { z } from "zod";
import { compressParameters, expandParameters } from "./messages";
import { checkParameters } from "./parameters";
import type { InvestigationResult } from "./result";

/** One question to one module. */
export interface Operation {
  readonly module: string;
  /** An object, or what compressParameters() makes of it. */
  readonly parameters?: unknown;
  /** In place of parameters: the line with the message, unchecked; null stands for no input at all. */
  readonly line?: string | null;
  /** In place of parameters: words of a command line, for the module's paramsParser(). */
  readonly words?: readonly string[];
}

/** The end of an operation; the words are MIG's. */
export type OperationStatus = "success" | "failed" | "timeout" | "cancelled" | "expired";

/** The outcome of an operation. */
export interface OperationOutcome {
  readonly module: string;
  readonly status: OperationStatus;
  readonly result: InvestigationResult;
  /** The lines that the module has logged, its alerts included. */
  readonly log: readonly string[];
  /** The result for people; undefined unless it was asked for. */
  readonly printed?: readonly string[];
  /** The module's help, in place of a run. */
  readonly usage?: string;
}

/** Options for carrying out operations. */
export interface OperationOptions {
  /** Aborted when the caller has gone, and nothing waits for a result any more. */
  readonly signal?: AbortSignal;
  /** Aborted to send the modules a stop message; their answers are still awaited. */
  readonly stop?: AbortSignal;
  /** The time limit of each module, in milliseconds. */
  readonly timeoutMs?: number;
  /** The time at which the operations lose their meaning, in milliseconds since 1970: a module is ended then, too. */
  readonly expiresAt?: number;
  /** Makes modules mask everything that they call private. */
  readonly isPrivate?: boolean;
  /** Asks for the result for people; "found" without errors, statistics and empty results. */
  readonly print?: "all" | "found" | undefined;
  /** The folder in which modules may leave files. */
  readonly folder?: string | undefined;
}

/** The default time limit, in milliseconds: MIG's moduletimeout. */
export const DEFAULT_TIMEOUT_MS = 300_000;

/** Several operations with their options, in one text: programs pass it to the shell's command `investigate`. */
export interface OperationRequest {
  readonly operations: readonly Operation[];
  readonly timeoutMs?: number | undefined;
  readonly expiresAt?: number | undefined;
  readonly isPrivate?: boolean | undefined;
  readonly print?: "all" | "found" | undefined;
  /** The name by which `investigate --stop` stops the request in the same session. */
  readonly token?: string | undefined;
}

const Request: z.ZodType<OperationRequest> = z.strictObject({
  operations: z
    .array(
      z.strictObject({
        module: z.string(),
        parameters: z.unknown().optional(),
        line: z.string().nullable().optional(),
        words: z.array(z.string()).optional(),
      }),
    )
    .max(1000),
  timeoutMs: z.number().positive().max(2_147_483_647).optional(),
  expiresAt: z.number().optional(),
  isPrivate: z.boolean().optional(),
  print: z.enum(["all", "found"]).optional(),
  token: z.string().max(100).optional(),
}) as z.ZodType<OperationRequest>;

/** Writes a request as one word. */
export function encodeRequest(request: OperationRequest): string {
  return compressParameters(request);
}

/** Reads a request that encodeRequest() has written. @throws MessageError or ParameterError with the problem */
export function decodeRequest(word: string): OperationRequest {
  return checkParameters(Request, expandParameters(word), "request");
}
