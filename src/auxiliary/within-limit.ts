/** Something that was given a time and has not ended in it. */
export class LimitError extends Error {
  override readonly name = "LimitError";
}

/**
 * Waits for something, but not longer than a limit. What does not end goes on unobserved: its later failure harms nobody.
 *
 * @param act what to do; it may throw, return a value or a promise. Its signal is aborted after the limit
 * @param limitMs in milliseconds, more than 0
 * @param what its name, for the error
 * @returns what act returned or its promise gave
 * @throws LimitError after the limit; whatever act throws
 */
export async function withinLimit<Result>(
  act: (signal: AbortSignal) => Result | Promise<Result>,
  limitMs: number,
  what: string,
): Promise<Result> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new LimitError(`${what} has not ended within ${limitMs} ms`);
      controller.abort(error);
      reject(error);
    }, limitMs);
  });
  const result = (async () => act(controller.signal))();
  result.catch(() => {});
  try {
    return await Promise.race([result, limit]);
  } finally {
    clearTimeout(timer);
  }
}
