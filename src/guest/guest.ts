import type { CpuFacts } from "../systems/memory/guest-source";
import { checkProfile, findProfile, readProfile } from "../systems/symbols/profile-store";
import { type Cpu, getCpus } from "../machine/state/cpu";
import { EngineSource } from "./engine-source";
import { KernelCache } from "./kernel-cache";
import { attachImage } from "./images/attach-image";
import type { ProfileFinder } from "../systems/linux/attach/attach";
import { AttachError, type AttachRefusal } from "../systems/errors";
import { attachGuest } from "../systems/linux/attach-guest";
import { diagnoseLinux, type GuestDiagnosis } from "../systems/linux/guest-diagnosis";
import type { LinuxGuest } from "../systems/linux/linux-guest";
import { findStillMachine, hasMachine, type StillMachine } from "../machine/state/machine-access";

interface Attached {
  readonly guest: LinuxGuest;
  /** What a vCPU's registers say of the kernel: they change when another one is started or loaded. */
  readonly identity: Pick<CpuFacts, "lstar" | "sysenterEip" | "idtBase">;
}

/** What was found not to be a kernel that rebox knows: looking again would take long and find the same. */
interface Refused {
  readonly error: AttachError;
  readonly identity: string;
}

let attached: Attached | undefined;
let refused: Refused | undefined;
let onOutcome: (refusal: AttachRefusal | undefined) => void = () => undefined;
let profileFinder: ProfileFinder = (identity) => findProfile(identity);

/**
 * Sets the profile for a kernel that does not say everything about itself; without it, one is looked for in the profile
 * folder. Attaches anew at the next call.
 *
 * @param path a profile of rebox or an ISF file; undefined for the profile folder
 */
export function useProfile(path: string | undefined): void {
  profileFinder = (identity) => {
    if (path === undefined) return findProfile(identity);
    const profile = readProfile(path);
    checkProfile(profile, identity);
    return profile;
  };
  attached = undefined;
  refused = undefined;
}

/** Where the kernel is entered stays the same while it runs, on every vCPU that it has started. */
function identify(cpu: CpuFacts): string {
  return `${cpu.lstar} ${cpu.sysenterEip} ${cpu.idtBase}`;
}

/** Asked with each look-up of a symbol: nothing is made but three values. */
function isStillThere({ identity: { lstar, sysenterEip, idtBase } }: Attached): boolean {
  const cpus = getCpus();
  for (let index = 0; index < cpus.length; index++) {
    const cpu = cpus[index] as Cpu;
    if (cpu.LSTAR === lstar && cpu.SYSENTER_EIP === sysenterEip && cpu.IDT_BASE === idtBase) return true;
  }
  return false;
}

/**
 * Gets the guest's operating system. The first call attaches to it: it finds the kernel in memory. Later calls cost
 * nothing, and attach anew when another kernel runs, after a reset or loadVm().
 *
 * @throws AttachError when no kernel is found; its isEarly tells that the guest has not started one yet
 * @throws EngineUsageError when there is no machine
 */
export function getGuest(): LinuxGuest {
  const image = findStillMachine();
  if (image) return getImageGuest(image);
  if (attached && isStillThere(attached)) return attached.guest;
  const source = new EngineSource();
  const cpus = source.cpus();
  if (refused && cpus.map(identify).join() === refused.identity) throw refused.error;
  attached = undefined;
  refused = undefined;
  try {
    const guest = attachGuest(source, { memory: new KernelCache(), findProfile: profileFinder });
    const cpu = cpus.find(({ lstar, sysenterEip }) =>
      guest.kernel.image.entryPoints.some((entry) => entry === lstar || entry === sysenterEip),
    );
    attached = { guest, identity: cpu ?? (cpus[0] as CpuFacts) };
  } catch (error) {
    if (error instanceof AttachError) {
      if (!error.isEarly) refused = { error, identity: cpus.map(identify).join() };
      onOutcome(error);
    }
    throw error;
  }
  onOutcome(undefined);
  return attached.guest;
}

/**
 * Sets who is told how each attempt to attach ends: whoever runs scripts can say it to people, once, also when a script
 * goes on without the guest's system.
 *
 * @param listener is given undefined when a kernel was found
 */
export function watchAttaching(listener: (refusal: AttachRefusal | undefined) => void): void {
  onOutcome = listener;
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
 * What has been refused is tried anew by the next call of getGuest(): a profile may have been made meanwhile.
 *
 * @throws EngineUsageError when there is no machine
 */
export function diagnoseGuest(): GuestDiagnosis {
  const diagnosis = diagnoseLinux(findStillMachine() ?? new EngineSource(), { findProfile: profileFinder });
  refused = undefined;
  return diagnosis;
}

function getImageGuest(image: StillMachine): LinuxGuest {
  if (attached) return attached.guest;
  if (refused) throw refused.error;
  try {
    const guest = attachImage(image, { memory: new KernelCache(), findProfile: profileFinder });
    // An image's kernel never changes, so nothing is compared.
    attached = { guest, identity: { lstar: 0n, sysenterEip: 0n, idtBase: 0n } };
    return guest;
  } catch (error) {
    if (error instanceof AttachError) refused = { error, identity: "" };
    throw error;
  }
}

/** Finds the guest's operating system; undefined when there is no machine, or no kernel that rebox knows. */
export function findGuest(): LinuxGuest | undefined {
  if (!hasMachine()) return undefined;
  try {
    return getGuest();
  } catch (error) {
    if (error instanceof AttachError) return undefined;
    throw error;
  }
}

const WAIT_STEP_MS = 50;

/**
 * Waits until the guest's kernel runs its first program, and attaches.
 *
 * @param timeoutMs how long to wait at most
 * @throws AttachError when no kernel was found in this time, or there is something else than Linux
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
