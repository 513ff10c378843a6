import { findGuest } from "../guest";
import type { LinuxGuest } from "../../systems/linux/linux-guest";

/** The time between two looks for another kernel. */
const STEP_MS = 200;

/**
 * Reports the guest's kernel once, as soon as there is one, and each that takes its place after a reset or loadVm(): hooks in the
 * kernel of before have to go then.
 *
 * @param onGuest what it throws is handed to onError, and it is not called for the same kernel again
 * @returns the function that ends it
 */
export function followGuest(onGuest: (guest: LinuxGuest) => void, onError: (error: unknown) => void): () => void {
  let known: LinuxGuest | undefined;
  const look = (): void => {
    try {
      const guest = findGuest();
      if (!guest || guest === known) return;
      known = guest;
      onGuest(guest);
    } catch (error) {
      onError(error);
    }
  };
  const timer = setInterval(look, STEP_MS);
  timer.unref();
  look();
  return () => clearInterval(timer);
}
