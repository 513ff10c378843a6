import { z } from "zod";
import { checkParameters } from "./check-parameters";
import { compressParameters, expandParameters } from "./investigation-message";
import type { Operation } from "./operation";

/** Several operations and how they are carried out, in one text: what programs ask the shell's command `investigate` with. */
export interface OperationRequest {
  readonly operations: readonly Operation[];
  readonly timeoutMs?: number | undefined;
  readonly expiresAt?: number | undefined;
  readonly isPrivate?: boolean | undefined;
  readonly print?: "all" | "found" | undefined;
  /** By which `investigate --stop` names it in the same session. */
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

/** Reads what encodeRequest() has written. @throws Error saying what is wrong with it */
export function decodeRequest(word: string): OperationRequest {
  return checkParameters(Request, expandParameters(word), "request");
}
