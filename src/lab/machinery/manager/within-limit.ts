/** Something was given a time and has not ended in it. */
export class LimitError extends Error {
  override readonly name = "LimitError";
}

/** Something was cancelled by who asked for it. */
export class CancelledError extends Error {
  override readonly name = "CancelledError";
}

/**
 * Calls something that may hang, and waits no longer than it may take. What does not end goes on unobserved: its later failure
 * harms nobody.
 *
 * @param what for the message: "state of win10"
 * @param limitMs after which its signal is aborted, and nobody waits for it any more; more than 0
 * @param signal of who asked for it
 * @param call gets a signal that covers both
 * @throws LimitError when it takes too long; CancelledError when the outer signal is aborted; whatever call throws
 */
export async function withinLimit<Result>(
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
    const giveUp = (error: Error) => {
      reject(error);
      own.abort(error);
    };
    timer = setTimeout(() => giveUp(new LimitError(`${what} has not ended within ${limitMs} ms`)), limitMs);
    onAbort = () => giveUp(new CancelledError(`${what} was cancelled`));
    signal?.addEventListener("abort", onAbort, { once: true });
  });
  try {
    const result = Promise.resolve().then(() => call(own.signal));
    result.catch(() => undefined);
    return await Promise.race([result, bound]);
  } finally {
    clearTimeout(timer);
    if (onAbort) signal?.removeEventListener("abort", onAbort);
  }
}
