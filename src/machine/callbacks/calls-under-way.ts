import { Engine } from "../engine/engine";

/** The holds of each listener that have not ended. */
const holds = new Map<number, Set<() => void>>();

/**
 * Keeps the guest held until a callback's promise has settled, or its callback is removed.
 *
 * @param onError receives what the promise was rejected with
 */
export function holdGuest(listenerId: number, promise: Promise<unknown>, onError: (error: unknown) => void): void {
  const ofListener = holds.get(listenerId) ?? new Set();
  holds.set(listenerId, ofListener);
  const release = () => {
    if (ofListener.delete(release)) {
      Engine.get().native.releaseGuest();
    }
  };
  ofListener.add(release);
  promise.then(release, (error: unknown) => {
    onError(error);
    release();
  });
}

/** Ends the holds of a listener that is no more: nobody else would. */
export function releaseHolds(listenerId: number): void {
  for (const release of [...(holds.get(listenerId) ?? [])]) {
    release();
  }
  holds.delete(listenerId);
}

/** A listener of a guest event; its number is known once it is registered. */
export interface RunningCall {
  listenerId: number;
}

let running: RunningCall | undefined;

/**
 * Makes a listener that notes while it runs. Guest events are raised within other callbacks, and a callback that does not
 * return is cut off with all that called it: only this tells which one it was.
 */
export function noteCalls(call: RunningCall, listener: (...args: never[]) => unknown): (...args: never[]) => unknown {
  return (...args) => {
    const outer = running;
    running = call;
    try {
      return listener(...args);
    } finally {
      // Not reached when the call is cut off.
      running = outer;
    }
  };
}

/** Takes the number of the listener that was cut off; undefined when none of these was. */
export function takeCutOff(): number | undefined {
  const call = running;
  running = undefined;
  return call?.listenerId;
}
