import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { getCacheFolder } from "../config/folders";
import { ReboxError } from "../config/rebox-error";
import { Engine } from "../machine/engine/engine";
import { type Cpu, getCpus } from "../machine/state/cpu";
import { findStillMachine, type StillMachine } from "../machine/state/machine-access";
import type { ProfileFinder } from "../systems/linux/attach/attach";
import { AttachError, type AttachRefusal } from "../systems/errors";
import type { KernelMemory } from "../systems/linux/attach/kernel-facts";
import type { GuestDiagnosis } from "../systems/guest-diagnosis";
import type { GuestSystem } from "../systems/guest-system";
import { LinuxGuest } from "../systems/linux/linux-guest";
import type { LinuxKernel } from "../systems/linux/structs/linux-kernel";
import type { CpuFacts, GuestSource, RamRegion } from "../systems/memory/guest-source";
import { checkProfile, findProfile, readProfile } from "../systems/symbols/profile-store";
import { SystemSearch } from "./system-search";
import { createSymbolFinder } from "./windows-symbol-files";

/** How the guest's system is looked for. */
export interface GuestOptions {
  /**
   * A profile of rebox or an ISF file, for a kernel that does not say everything about itself; undefined looks for one in the
   * profile folder.
   */
  readonly profile?: string | undefined;
  /**
   * Called with how each attempt to attach ends, undefined when a kernel was found: a run can report it to people once, also
   * when a script continues without the guest's system.
   */
  readonly onAttempt?: ((refusal: AttachRefusal | undefined) => void) | undefined;
}

interface Attached {
  readonly guest: GuestSystem;
  /** The registers of a vCPU that say where the kernel is entered: they change when another kernel is started or loaded. */
  readonly identity: Pick<CpuFacts, "lstar" | "sysenterEip" | "idtBase">;
}

/** A kernel that rebox does not know: looking again would take long and find the same. */
interface Refused {
  readonly error: AttachError;
  readonly identity: string;
}

/** The link to the guest's system: how it is looked for, and the outcome of the last attempt. */
export class GuestAttachment {
  #options: GuestOptions = {};
  #attached: Attached | undefined;
  /** The last kernel that was attached to, also when it could not be found since. */
  #last: Attached | undefined;
  #refused: Refused | undefined;
  #search: SystemSearch;

  constructor() {
    this.#search = this.#createSearch();
  }

  /** Sets how the system is looked for, and forgets the outcome of earlier attempts. */
  configure(options: GuestOptions): void {
    this.#options = options;
    this.#attached = this.#last = undefined;
    this.#refused = undefined;
    this.#search = this.#createSearch();
  }

  /**
   * Gets the guest's system, and attaches to it when that has not been done or another kernel runs by now.
   *
   * @throws AttachError when no kernel is found
   * @throws EngineUsageError when there is no machine
   */
  get(): GuestSystem {
    const image = findStillMachine();
    if (image) return this.#getOfImage(image);
    if (this.#attached && isStillThere(this.#attached)) return this.#attached.guest;
    const source = new EngineSource();
    const cpus = source.cpus();
    if (this.#refused && cpus.map(identify).join() === this.#refused.identity) throw repeatRefusal(this.#refused.error);
    const before = this.#last;
    if (this.#attached) Engine.get().native.tellIsolation();
    this.#attached = undefined;
    this.#refused = undefined;
    try {
      const guest = this.#search.attach(source, true);
      const entries = guest.kernelEntries;
      const cpu = cpus.find(({ lstar, sysenterEip }) =>
        entries.some((entry) => entry === lstar || entry === sysenterEip),
      );
      const now = { guest, identity: cpu ?? (cpus[0] as CpuFacts) };
      this.#last = this.#attached = before && isFurther(before, now) ? { ...now, guest: before.guest } : now;
    } catch (error) {
      if (error instanceof AttachError) {
        if (!error.isEarly) this.#refused = { error, identity: cpus.map(identify).join() };
        this.#options.onAttempt?.(error);
      }
      throw error;
    }
    Engine.get().native.tellIsolation(findIsolationBits(this.#attached.guest));
    this.#options.onAttempt?.(undefined);
    return this.#attached.guest;
  }

  /**
   * Looks at the guest's system step by step. A kernel that was refused is tried anew by the next call of get(): a profile may
   * have been made since.
   */
  diagnose(): GuestDiagnosis {
    const diagnosis = this.#search.diagnose(findStillMachine() ?? new EngineSource());
    this.#refused = undefined;
    return diagnosis;
  }

  /** An image's kernel never changes, so nothing is compared. */
  #getOfImage(image: StillMachine): GuestSystem {
    if (this.#attached) return this.#attached.guest;
    if (this.#refused) throw this.#refused.error;
    try {
      const guest = attachImage(image, this.#search);
      this.#attached = { guest, identity: { lstar: 0n, sysenterEip: 0n, idtBase: 0n } };
      return guest;
    } catch (error) {
      if (error instanceof AttachError) this.#refused = { error, identity: "" };
      throw error;
    }
  }

  #createSearch(): SystemSearch {
    return new SystemSearch({
      linux: { memory: new KernelCache(), findProfile: this.#findProfile },
      findSymbols: createSymbolFinder(this.#options.profile),
    });
  }

  readonly #findProfile: ProfileFinder = (identity) => {
    const { profile: path } = this.#options;
    if (path === undefined) return findProfile(identity);
    const profile = readProfile(path);
    checkProfile(profile, identity);
    return profile;
  };
}

/** Refuses once more, in short: the evidence was that of an earlier moment, and has been given. */
function repeatRefusal({ step, advice }: AttachError): AttachError {
  return new AttachError(step, "nothing has changed since the first look, and the command doctor looks anew", advice);
}

/** Names the places where the kernel is entered, which stay the same while it runs, on every vCPU that it has started. */
function identify(cpu: CpuFacts): string {
  return `${cpu.lstar} ${cpu.sysenterEip} ${cpu.idtBase}`;
}

/**
 * Finds the bits of CR3 that differ between the two page tables of a process. A guest whose list of processes is damaged shows
 * nothing. Windows has its second table anywhere: no bits tell it.
 */
function findIsolationBits(guest: GuestSystem): bigint | undefined {
  if (!(guest instanceof LinuxGuest)) return 0n;
  try {
    return guest.isolationBits;
  } catch (error) {
    if (error instanceof ReboxError) return undefined;
    throw error;
  }
}

/**
 * Reports whether a kernel is the one of before, which has come further in its start: it sets up one entry after another, and
 * moves its interrupt table. After a reset it would lack those that it had.
 */
function isFurther(before: Attached, now: Attached): boolean {
  if (!(before.guest instanceof LinuxGuest && now.guest instanceof LinuxGuest)) return false;
  const [a, b] = [before.guest.kernel, now.guest.kernel];
  // The beginning of what is mapped changes while it starts; where a byte of it lies does not.
  const distance = ({ image }: LinuxKernel) => image.start - BigInt(image.physical);
  const isSame =
    a.banner === b.banner &&
    a.findSymbol("init_task") === b.findSymbol("init_task") &&
    distance(a) === distance(b) &&
    a.directMap.start === b.directMap.start;
  const { lstar, sysenterEip } = before.identity;
  const isKept = (entry: bigint, later: bigint) => entry === 0n || entry === later;
  return isSame && isKept(lstar, now.identity.lstar) && isKept(sysenterEip, now.identity.sysenterEip);
}

/** Reports whether the same kernel runs. Each look-up of a symbol asks this, so no object is made. */
function isStillThere({ identity: { lstar, sysenterEip, idtBase } }: Attached): boolean {
  const cpus = getCpus();
  for (let index = 0; index < cpus.length; index++) {
    const cpu = cpus[index] as Cpu;
    if (cpu.LSTAR === lstar && cpu.SYSENTER_EIP === sysenterEip && cpu.IDT_BASE === idtBase) return true;
  }
  return false;
}

/**
 * Finds the system of an image: by the registers that it holds, or, where these lead to no kernel, by its memory alone.
 *
 * @throws AttachError
 */
function attachImage(image: StillMachine, search: SystemSearch): GuestSystem {
  if (image.cpus().length === 0) {
    throw new AttachError(
      "page-tables",
      "nowhere in the image is a page table that maps itself, an interrupt table and the kernel's memory",
      "it is no whole image of a machine's memory, or one of another system: without registers, rebox finds Linux, and Windows of 64 bits",
    );
  }
  try {
    return search.attach(image);
  } catch (error) {
    if (!(error instanceof AttachError) || image.scan().length === 0) throw error;
    image.distrustRegisters();
    return search.attach(image);
  }
}

/** The running machine as a source of memory and registers. */
class EngineSource implements GuestSource {
  regions(): readonly RamRegion[] {
    return Engine.get()
      .native.ramRegions()
      .map(({ address, buffer }) => ({ address: Number(address), bytes: new Uint8Array(buffer) }));
  }

  cpus(): readonly CpuFacts[] {
    return getCpus().map((cpu) => ({
      index: cpu.index,
      cr0: cpu.CR0,
      cr3: cpu.CR3,
      cr4: cpu.CR4,
      efer: cpu.EFER,
      lstar: cpu.LSTAR,
      sysenterEip: cpu.SYSENTER_EIP,
      idtBase: cpu.IDT_BASE,
      idtLimit: Number(cpu.IDT_LIMIT),
    }));
  }
}

const LARGEST_FACTS = 1 << 20;
const MOST_FILES = 8;

/** Keeps facts of kernels in the user's cache folder, one small file for each kernel. */
class KernelCache implements KernelMemory {
  readonly #folder = getCacheFolder("kernels");

  find(entry: string): readonly string[] {
    try {
      return readdirSync(this.#folder)
        .filter((name) => name.startsWith(`${entry}-`) && name.endsWith(".json"))
        .slice(0, MOST_FILES)
        .map((name) => readFileSync(join(this.#folder, name), "utf8"))
        .filter((text) => text.length <= LARGEST_FACTS);
    } catch {
      return [];
    }
  }

  save(entry: string, buildId: string, facts: string): void {
    try {
      mkdirSync(this.#folder, { recursive: true });
      const path = join(this.#folder, `${entry}-${buildId}.json`);
      // Another process may read it at any moment.
      writeFileSync(`${path}.${process.pid}`, facts);
      renameSync(`${path}.${process.pid}`, path);
    } catch {
      // A cache folder that cannot be written costs time only.
    }
  }
}
