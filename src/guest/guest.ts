import type { CpuFacts } from "../memory/guest-source";
import { checkProfile, findProfile, readProfile } from "../symbols/profile-store";
import { EngineSource } from "./engine-source";
import { KernelCache } from "./kernel-cache";
import { attachLinux, type ProfileFinder } from "./linux/attach";
import { AttachError } from "./linux/attach-error";
import { LinuxGuest } from "./linux/linux-guest";
import { findStillMachine, hasMachine, type StillMachine } from "./machine-access";

interface Attached {
  readonly guest: LinuxGuest;
  /** What a vCPU's registers say of the kernel: they change when another one is started or loaded. */
  readonly identity: string;
}

/** What was found not to be a kernel that rebox knows: looking again would take long and find the same. */
interface Refused {
  readonly error: AttachError;
  readonly identity: string;
}

let attached: Attached | undefined;
let refused: Refused | undefined;
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
  const source = new EngineSource();
  const cpus = source.cpus();
  if (attached && cpus.some((cpu) => identify(cpu) === attached?.identity)) return attached.guest;
  if (refused && cpus.map(identify).join() === refused.identity) throw refused.error;
  attached = undefined;
  refused = undefined;
  try {
    const guest = new LinuxGuest(attachLinux(source, { memory: new KernelCache(), findProfile: profileFinder }));
    const cpu = cpus.find(({ lstar, sysenterEip }) =>
      guest.kernel.image.entryPoints.some((entry) => entry === lstar || entry === sysenterEip),
    );
    attached = { guest, identity: identify(cpu ?? (cpus[0] as CpuFacts)) };
    return guest;
  } catch (error) {
    if (error instanceof AttachError && !error.isEarly) refused = { error, identity: cpus.map(identify).join() };
    throw error;
  }
}

function getImageGuest(image: StillMachine): LinuxGuest {
  if (attached) return attached.guest;
  if (refused) throw refused.error;
  try {
    attached = { guest: attachToImage(image), identity: "" };
    return attached.guest;
  } catch (error) {
    if (error instanceof AttachError) refused = { error, identity: "" };
    throw error;
  }
}

/** Attaches by the registers that an image holds, or, where these lead to no kernel, by what its memory says alone. */
function attachToImage(image: StillMachine): LinuxGuest {
  const options = { memory: new KernelCache(), findProfile: profileFinder };
  const attach = (): LinuxGuest => new LinuxGuest(attachLinux(image, options));
  if (image.cpus().length === 0) {
    throw new AttachError(
      "page-tables",
      "nowhere in the image is a page table that maps itself, an interrupt table and the kernel's memory",
      "it is no whole image of a machine's memory, or one of another system: rebox knows Linux on x86",
    );
  }
  try {
    return attach();
  } catch (error) {
    if (!(error instanceof AttachError) || image.scan().length === 0) throw error;
    image.distrustRegisters();
    return attach();
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
