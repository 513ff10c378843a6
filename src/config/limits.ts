import { createContext, Script } from "node:vm";
import { CancelledError, MemoryLimitError, TimeLimitError } from "./errors";

// Node stops a running function only by the time limit of a vm.Script, which may call a function of any context.
const script = new Script("call()", { filename: "rebox-call.js" });
export const MEMORY_FULL =
  "filled the memory that JavaScript may use, and was cut off; NODE_OPTIONS=--max-old-space-size=MIB sets another limit";
/** Made at the first call, since making a context takes longer than most calls in it. */
let context: { call: (() => unknown) | undefined } | undefined;

/** Calls a function. Where rebox's native part is loaded, one that fills the memory is cut off: undefined in place of a result. */
let guard: (call: () => unknown) => [unknown] | undefined = (call) => [call()];

/** Sets the function through which all limited calls are made. */
export function setCallGuard(given: (call: () => unknown) => [unknown] | undefined): void {
  guard = given;
}

/**
 * Calls a function that may not end by itself, and cuts it off when its time is over.
 *
 * @param limitMs how long it may run, in milliseconds, at least 1; what it waits for asynchronously is not limited
 * @param call the function; it may itself call another function with a limit
 * @returns what the function returns
 * @throws TimeLimitError when it was cut off; MemoryLimitError when it was, because it filled the memory; whatever the
 *   function throws
 */
export function callWithin<Result>(limitMs: number, call: () => Result): Result {
  context ??= createContext({ __proto__: null, call: undefined }) as { call: (() => unknown) | undefined };
  const outer = context.call;
  context.call = call;
  try {
    const own = context;
    const returned = guard(() => script.runInContext(own, { timeout: limitMs, displayErrors: false }) as unknown);
    if (returned) return returned[0] as Result;
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    throw new TimeLimitError(`did not return within ${limitMs / 1000} s and was cut off`);
  } finally {
    context.call = outer;
  }
  throw new MemoryLimitError(MEMORY_FULL);
}

/**
 * Waits for a promise, though not for ever. Nothing is cut off: a promise that is late may still settle.
 *
 * @param promise the promise to wait for
 * @param limitMs how long, in milliseconds
 * @param signal ends the waiting early when it is aborted
 * @returns "settled"; "late" when the time is over first; "aborted" when the signal comes first
 * @throws the reason of the promise when it rejects in time
 */
export async function waitAtMost(
  promise: Promise<unknown>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<"settled" | "late" | "aborted"> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const ended = new Promise<"late" | "aborted">((resolve) => {
    timer = setTimeout(resolve, limitMs, "late");
    onAbort = () => resolve("aborted");
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise.then(() => "settled" as const), ended]);
  } finally {
    clearTimeout(timer);
    if (onAbort) signal?.removeEventListener("abort", onAbort);
  }
}

/**
 * Calls a function whose promise may never settle, and waits for it no longer than its time. A call that is given up runs on
 * unobserved, with its signal aborted: its later failure harms nobody.
 *
 * @param what names the call in messages: "state of win10"
 * @param limitMs how long it may take, in milliseconds, more than 0
 * @param signal of the one who asked; undefined when nobody can cancel
 * @param call gets a signal that is aborted when the time is over, or when the outer signal is
 * @returns what the function's promise settles with
 * @throws TimeLimitError when it takes too long; CancelledError when the outer signal is aborted; whatever the function throws
 */
export async function callAsyncWithin<Result>(
  what: string,
  limitMs: number,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<Result> | Result,
): Promise<Result> {
  if (signal?.aborted) throw new CancelledError(`${what} was cancelled`);
  const own = new AbortController();
  const result = Promise.resolve().then(() => call(own.signal));
  const outcome = await waitAtMost(result, limitMs, signal);
  if (outcome === "settled") return await result;
  const error =
    outcome === "late"
      ? new TimeLimitError(`${what} has not ended within ${limitMs} ms`)
      : new CancelledError(`${what} was cancelled`);
  own.abort(error);
  throw error;
}
