import { Engine } from "../engine/engine";
import { callbackRegistry } from "./callback-registry";
import type { CallbackType } from "./callback-types";

/** A callback or stream with its counts and times. */
export interface CallbackStatistics {
  readonly name: string;
  readonly type: CallbackType;
  readonly moduleHandle: number;
  /** The number of calls of the script; of a stream, of batches. */
  readonly calls: number;
  /** The number of events that its filter kept from the script. Ends once the filter's hits are used up. */
  readonly filtered: number;
  /** The number of events that a stream dropped because its batch was full. */
  readonly dropped: number;
  /** The number of times that it threw, was rejected, was cut off, or lost its trigger. */
  readonly errors: number;
  /** Milliseconds in its filter and trigger; an estimate from samples. */
  readonly nativeTimeMs: number;
  /**
   * Milliseconds in the script's function until it returned, with what it called; an estimate. The first 64 calls are
   * measured, then about one in 64, which stands for the others.
   */
  readonly jsTimeMs: number;
}

/** Lists every callback and stream of every script. */
export function listCallbacks(): CallbackStatistics[] {
  return callbackRegistry.list().map(({ name, type, moduleHandle, listenerId, errors }) => {
    const [calls = 0, filtered = 0, dropped = 0, nativeTimeMs = 0, jsTimeMs = 0] =
      Engine.get().native.statistics(listenerId) ?? [];
    return { name, type, moduleHandle, calls, filtered, dropped, errors, nativeTimeMs, jsTimeMs };
  });
}
