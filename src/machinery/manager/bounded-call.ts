import { MachineryConnectionError } from "../errors";

/** An action was cancelled by who asked for it. */
export class CancelledError extends Error {
  override readonly name = "CancelledError";
}

/**
 * Calls something that may hang, and waits no longer than it may take.
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
  if (signal?.aborted) throw new CancelledError(`${what} was cancelled`);
  const own = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const bound = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new MachineryConnectionError(`${what}: no answer within ${limitMs / 1000} s`));
      own.abort();
    }, limitMs);
    onAbort = () => {
      reject(new CancelledError(`${what} was cancelled`));
      own.abort();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });
  try {
    // A call that fails after it was given up is nobody's any more.
    const result = Promise.resolve().then(() => call(own.signal));
    result.catch(() => undefined);
    return await Promise.race([result, bound]);
  } finally {
    clearTimeout(timer);
    if (onAbort) signal?.removeEventListener("abort", onAbort);
  }
}
