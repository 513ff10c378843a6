import { hasMachine } from "../machine/state/machine-access";
import type { GuestSystem } from "../systems/guest-system";
import { AttachError, type AttachRefusal, OtherSystemError } from "../systems/errors";
import type { GuestDiagnosis } from "../systems/guest-diagnosis";
import { LinuxGuest } from "../systems/linux/linux-guest";
import { GuestAttachment, type GuestOptions } from "./guest-attachment";

/** How often waitForGuest() looks. */
const WAIT_STEP_MS = 50;

/** The only one, since a process has one engine. */
const attachment = new GuestAttachment();

/** Sets how the guest's system is looked for. Attaches anew at the next call. */
export function configureGuest(options: GuestOptions): void {
  attachment.configure(options);
}

/**
 * Gets the guest's operating system, of whichever kind. The first call attaches to it: it finds the kernel in memory. Later
 * calls cost nothing, and attach anew when another kernel runs, after a reset or loadVm().
 *
 * @throws AttachError when no kernel is found; its isEarly says that the guest has not started one yet
 * @throws EngineUsageError when there is no machine
 */
export function getSystem(): GuestSystem {
  return attachment.get();
}

/** Finds the guest's operating system; undefined when there is no machine, or no kernel that rebox knows. */
export function findSystem(): GuestSystem | undefined {
  if (!hasMachine()) return undefined;
  try {
    return attachment.get();
  } catch (error) {
    if (error instanceof AttachError) return undefined;
    throw error;
  }
}

/**
 * Gets the Linux that the guest runs, with all that rebox knows of Linux. It attaches as getSystem() does.
 *
 * @throws AttachError when no Linux kernel is found; its isEarly says that the guest has not started one yet
 * @throws OtherSystemError, an AttachError too, when the guest runs another system that rebox knows
 * @throws EngineUsageError when there is no machine
 */
export function getGuest(): LinuxGuest {
  const system = attachment.get();
  if (system instanceof LinuxGuest) return system;
  throw new OtherSystemError(system.version);
}

/** Finds the Linux that the guest runs; undefined when there is no machine, or another system, or none that rebox knows. */
export function findGuest(): LinuxGuest | undefined {
  const system = findSystem();
  return system instanceof LinuxGuest ? system : undefined;
}

/**
 * Says why findGuest() finds nothing.
 *
 * @returns undefined when there is a guest whose kernel rebox knows
 * @throws EngineUsageError when there is no machine
 */
export function findGuestRefusal(): AttachRefusal | undefined {
  try {
    getGuest();
    return undefined;
  } catch (error) {
    if (!(error instanceof AttachError)) throw error;
    const { step, evidence, advice, isEarly } = error;
    return { step, evidence, advice, isEarly };
  }
}

/**
 * Looks at the guest's system step by step, and says on what evidence each step succeeds or fails, and what to try next.
 * A kernel that was refused is tried anew by the next call of getGuest(): a profile may have been made since.
 *
 * @throws EngineUsageError when there is no machine
 */
export function diagnoseGuest(): GuestDiagnosis {
  return attachment.diagnose();
}

/**
 * Waits until the guest's kernel runs its first program, and attaches.
 *
 * @param timeoutMs how long to wait at most, in milliseconds
 * @throws AttachError when no kernel was found in this time, or the guest runs a system that rebox does not know
 */
export async function waitForGuest(timeoutMs = 60_000): Promise<LinuxGuest> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    try {
      const guest = getGuest();
      // Before its program is there, the first process is a thread of the kernel.
      if (guest.getProcessList().some(({ pid, pgd }) => pid === 1 && pgd !== 0n)) return guest;
      if (performance.now() >= end) return guest;
    } catch (error) {
      if (!(error instanceof AttachError) || !error.isEarly || performance.now() >= end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, WAIT_STEP_MS));
  }
}
