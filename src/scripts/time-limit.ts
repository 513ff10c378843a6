/**
 * Waits for a promise, but not for ever.
 *
 * @param promise what to wait for
 * @param limitMs how long, in milliseconds
 * @returns "settled" or, when the time is over first, "late"
 * @throws what the promise rejects with, unless it is late
 */
export async function waitAtMost(promise: Promise<unknown>, limitMs: number): Promise<"settled" | "late"> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(resolve, limitMs, "late");
  });
  try {
    return await Promise.race([promise.then(() => "settled" as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
