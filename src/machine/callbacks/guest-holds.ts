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
