import { readFileSync } from "node:fs";
import { z } from "zod";
import { checkParameters } from "../../investigation/parameters";
import type { Operation } from "../../investigation/operation";
import { UsageError } from "../errors";

/** The members of MIG's action.json that rebox uses; the others, such as name and target, are for people. */
const Action = z.looseObject({
  operations: z
    .array(
      z.looseObject({
        module: z.string().min(1),
        parameters: z.unknown().optional(),
      }),
    )
    .min(1),
  expireafter: z.iso.datetime({ offset: true }).optional(),
});

/** The operations of an action, and the time at which they lose their meaning, in milliseconds since 1970. */
export interface ActionFile {
  readonly operations: readonly Operation[];
  readonly expiresAt: number | undefined;
}

/**
 * Reads an action: {"operations":[{"module":"example","parameters":{…}}],"expireafter":"2026-01-01T00:00:00Z"}
 *
 * @throws UsageError with the problem
 */
export function readActionFile(path: string): ActionFile {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message}`);
  }
  try {
    const { operations, expireafter } = checkParameters(Action, value, "action");
    return {
      operations: operations.map(({ module, parameters }) => ({ module, parameters })),
      expiresAt: expireafter === undefined ? undefined : Date.parse(expireafter),
    };
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message}`);
  }
}
