/**
 * Returns a signal that is aborted as soon as one of two is, with its reason.
 *
 * Node 20's AbortSignal.any() holds its result weakly: one that only a listener knows may be collected and is never aborted.
 */
export function eitherSignal(one: AbortSignal, other: AbortSignal): AbortSignal {
  const controller = new AbortController();
  for (const source of [one, other]) {
    const abort = () => controller.abort(source.reason);
    if (source.aborted) abort();
    else source.addEventListener("abort", abort, { once: true });
  }
  return controller.signal;
}
