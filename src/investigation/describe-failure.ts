/** Says in one line what was thrown; the user reads it in a result. */
export function describeFailure(error: unknown): string {
  if (error instanceof Error) return error.message === "" ? error.name : error.message;
  try {
    return String(error);
  } catch {
    return "something was thrown that has no text";
  }
}
