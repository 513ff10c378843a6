import { setTimeout as sleep } from "node:timers/promises";
import { GuestGoneError } from "../../errors";
import type { GuestWay } from "../../ways/guest-way";
import type { Delivery } from "./execute-target";
import type { FollowedTarget } from "./followed-target";

/** The guest has so long to start again by itself, in milliseconds. */
const REBOOT_LIMIT_MS = 90_000;
/** A system that has started so long ago is taken to be up, in milliseconds. */
const UP_LIMIT_MS = 180_000;
/** As root of any system; the shell that is asked goes on. */
const REBOOT = "(sleep 1; sync; systemctl reboot || reboot || reboot -f) </dev/null >/dev/null 2>&1 &";

/**
 * Has a guest start again by itself, so that its disks have what was written; one that does not is reset. Resolves when its system is up.
 *
 * @param way is closed: it goes with the guest
 * @throws AnalysisError when it cannot be followed then; GuestGoneError when the machine went off
 */
export async function rebootGuest(
  delivery: Pick<Delivery, "reset" | "openWay">,
  way: GuestWay,
  followed: FollowedTarget,
  signal: AbortSignal,
): Promise<void> {
  const untilRestart = new AbortController();
  const onAbort = (): void => untilRestart.abort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    // The target may have done it: what is typed then is typed to a boot loader, or to the next system.
    if (!followed.hasRestarted) {
      // A target whose time was over may still have the console, and the way goes with the guest.
      way.runScript(REBOOT, untilRestart.signal).catch(() => undefined);
      const isLate = sleep(REBOOT_LIMIT_MS, true, { signal: untilRestart.signal }).catch(() => false);
      const isStuck = await Promise.race([followed.restarted.then(() => false), isLate]);
      untilRestart.abort();
      signal.throwIfAborted();
      if (isStuck) await delivery.reset(signal);
    }
    signal.throwIfAborted();
    await followed.resumed;
    // The kernel may have come after the time was over.
    signal.throwIfAborted();
    // It went with the guest, and a console has room for one.
    way.close();
    await untilUp(delivery, signal);
  } finally {
    untilRestart.abort();
    signal.removeEventListener("abort", onAbort);
  }
}

/** Waits until the guest's system is up, which its way in tells; the target may have shut that for ever. */
async function untilUp(delivery: Pick<Delivery, "openWay">, signal: AbortSignal): Promise<void> {
  try {
    (await delivery.openWay(AbortSignal.any([signal, AbortSignal.timeout(UP_LIMIT_MS)]))).close();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof GuestGoneError) throw error;
  }
}
