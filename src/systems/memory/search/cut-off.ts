import { createContext, Script } from "node:vm";

const script = new Script("act()");
/** Made once: that takes longer than what is mostly done in it. */
let globals: { act: () => unknown } | undefined;

/** A function was cut off because it took too long. */
export class CutOffError extends Error {
  override readonly name = "CutOffError";
}

/**
 * Calls a function that may not end by itself, such as a search for a regular expression, and cuts it off.
 *
 * @param limitMs after which it is cut off
 * @throws CutOffError when it took longer, and what the function throws
 */
export function callWithin<Result>(limitMs: number, act: () => Result): Result {
  let result: Result | undefined;
  globals ??= createContext({ act }) as { act: () => unknown };
  globals.act = () => (result = act());
  try {
    script.runInContext(globals, { timeout: limitMs });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    throw new CutOffError(`it took longer than ${limitMs} ms`);
  }
  return result as Result;
}
