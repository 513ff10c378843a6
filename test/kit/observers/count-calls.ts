/** Counts, for a test, how often the callbacks of an engine have called their scripts by now. */
import { listCallbacks } from "rebox";

/** The counts of one callback. */
export interface CountedCallback {
  readonly name: string;
  readonly calls: number;
  /** Hits that were decided without a call. */
  readonly filtered: number;
}

export function observe(): () => CountedCallback[] {
  return () => listCallbacks().map(({ name, calls, filtered }) => ({ name, calls, filtered }));
}
