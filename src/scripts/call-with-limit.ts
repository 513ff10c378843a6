import { createContext, Script } from "node:vm";

/** A function that did not return in time; it was cut off where it was. */
export class TimeLimitError extends Error {
  override readonly name = "TimeLimitError";
}

// Node's way to stop a running script is the time limit of a vm.Script, which may call a function of any context.
const context = createContext({ __proto__: null, call: undefined as (() => unknown) | undefined });
const script = new Script("call()", { filename: "rebox-call.js" });

/**
 * Calls a function and cuts it off when it does not return.
 *
 * @param call the function; what it waits for asynchronously is not limited
 * @param limitMs how long it may run, in milliseconds, at least 1
 * @throws TimeLimitError when it was cut off; whatever it throws
 */
export function callWithLimit<Result>(call: () => Result, limitMs: number): Result {
  return runWithLimit(script, context, call, limitMs);
}

/**
 * Does what callWithLimit() does, in a context with a microtask queue of its own: that is emptied, within the same limit.
 *
 * @param entry a script that calls the global `call`
 * @param inContext the context in which entry runs; its global `call` is set meanwhile
 */
export function runWithLimit<Result>(
  entry: Script,
  inContext: { call?: unknown },
  call: () => Result,
  limitMs: number,
): Result {
  const outer = inContext.call;
  inContext.call = call;
  try {
    return entry.runInContext(inContext as object, { timeout: limitMs, displayErrors: false }) as Result;
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    throw new TimeLimitError(`did not return within ${limitMs / 1000} s and was cut off`);
  } finally {
    inContext.call = outer;
  }
}
