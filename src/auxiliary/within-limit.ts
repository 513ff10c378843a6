/** Something that was given a time and has not ended in it. */
export class LimitError extends Error {
  override readonly name = "LimitError";
}

/**
 * Waits for something, but not longer than a limit. What does not end goes on unobserved: its later failure harms nobody.
 *
 * @param act what to do; it may throw, return a value or a promise
 * @param limitMs in milliseconds, more than 0
 * @param what its name, for the error
 * @returns what act returned or its promise gave
 * @throws LimitError after the limit; whatever act throws
 */
export async function withinLimit<Result>(
  act: () => Result | Promise<Result>,
  limitMs: number,
  what: string,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new LimitError(`${what} has not ended within ${limitMs} ms`)), limitMs);
  });
  const result = (async () => act())();
  result.catch(() => {});
  try {
    return await Promise.race([result, limit]);
  } finally {
    clearTimeout(timer);
  }
}
