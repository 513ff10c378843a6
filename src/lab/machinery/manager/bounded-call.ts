import { MachineryConnectionError } from "../errors";
import { TimeLimitError } from "../../../config/errors";
import { callAsyncWithin } from "../../../config/limits";

/**
 * Calls something of a machinery that may hang, and waits no longer than it may take.
 *
 * @param what for the message: "state of win10"
 * @param limitMs after which its signal is aborted, and nobody waits for it any more
 * @param signal of who asked for it
 * @param call gets a signal that covers both
 * @throws MachineryConnectionError when it takes too long; CancelledError when the outer signal is aborted
 */
export async function callBounded<Result>(
  what: string,
  limitMs: number,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<Result> | Result,
): Promise<Result> {
  try {
    return await callAsyncWithin(what, limitMs, signal, call);
  } catch (error) {
    if (!(error instanceof TimeLimitError)) throw error;
    throw new MachineryConnectionError(`${what}: no answer within ${limitMs / 1000} s`);
  }
}
