import { Engine } from "../engine/engine";
import { allCallbacks } from "./callback-registry";
import type { CallbackType } from "./callback-types";

/** One callback or stream and what it has done. */
export interface CallbackStatistics {
  readonly name: string;
  readonly type: CallbackType;
  readonly moduleHandle: number;
  /** How often the script was called. */
  readonly calls: number;
  /** How many events its filter kept from the script. */
  readonly filtered: number;
  /** How often it threw. */
  readonly errors: number;
}

/** Lists every callback and stream of every script. */
export function listCallbacks(): CallbackStatistics[] {
  return allCallbacks().map(({ name, type, moduleHandle, listenerId, errors }) => {
    const [calls, filtered] = Engine.get().native.statistics(listenerId);
    return { name, type, moduleHandle, calls, filtered, errors };
  });
}
