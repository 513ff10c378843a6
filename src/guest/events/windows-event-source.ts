import {
  guestEvents,
  type GuestEventType,
  type ModuleFacts,
  type ProcessFacts,
} from "../../machine/callbacks/guest-event-source";
import type { Cpu } from "../../machine/state/cpu";
import { getRunningProcess } from "../../machine/state/processes";
import { KernelDataError } from "../../systems/errors";
import { asImage, asModule } from "../../systems/windows/modules/module-list";
import { listAddressRanges } from "../../systems/windows/processes/address-ranges";
import { isProcess, listProcesses, readProcess } from "../../systems/windows/processes/process-reader";
import type { WindowsGuest } from "../../systems/windows/windows-guest";
import { KernelHooks } from "./kernel-hooks";
import type { SystemEventSource } from "./system-events";
import { readWindowsArgument, ReturnHooks } from "./windows-calls";

/** A process that has been reported, by the address of its _EPROCESS. */
interface KnownProcess extends ProcessFacts {
  readonly kaddr: bigint;
  /** Its images that have been reported, by base; empty while nobody listens. */
  readonly modules: Map<bigint, ModuleFacts>;
}

/** More processes than handles can name are none. */
const MOST_PROCESSES = 1 << 18;
/** Which of a function's first arguments are looked at for what they are: that differs between versions. */
const ARGUMENTS = [0, 1, 2, 3] as const;
/** When all is compared once more after the hooks were set: a call that was being made then has returned by one of these. */
const SETTLED_MS = [50, 500, 5000] as const;

/** Raises the events of a Windows guest. Its hooks are there while somebody listens. */
export class WindowsEventSource implements SystemEventSource {
  readonly #hooks: KernelHooks;
  readonly #returns: ReturnHooks;
  readonly #processes = new Map<bigint, KnownProcess>();
  /** The kernel and its drivers, by base. */
  readonly #drivers = new Map<bigint, ModuleFacts>();
  readonly #watched = new Set<GuestEventType>();
  #timers: readonly NodeJS.Timeout[] = [];

  constructor(readonly system: WindowsGuest) {
    this.#hooks = new KernelHooks(system.kernel);
    this.#returns = new ReturnHooks(system.kernel, this.#hooks);
  }

  watch(type: GuestEventType, on: boolean): void {
    const before = this.#wanted;
    if (on) this.#watched.add(type);
    else this.#watched.delete(type);
    if (before !== this.#wanted) this.renew();
  }

  /** Hooks anew, and notes what exists now: the guest may be another than before. */
  renew(): void {
    this.close();
    if (this.#watched.size === 0) return;
    try {
      for (const { pid, pgd, name, kaddr, hasEnded } of listProcesses(this.system.kernel)) {
        if (!hasEnded) this.#note({ pid, pgd, name, kaddr, modules: new Map() });
      }
      this.#hookProcesses();
      if (!this.#watchesModules) return;
      for (const process of this.#processes.values()) this.#refresh(process, false);
      this.#refreshDrivers(false);
      this.#hookModules();
      this.#timers = SETTLED_MS.map((delayMs) => setTimeout(() => this.#settle(), delayMs).unref());
    } catch (error) {
      this.#hooks.fail("hooks", error);
    }
  }

  /** Removes the hooks. */
  close(): void {
    this.#hooks.clear();
    this.#returns.clear();
    this.#processes.clear();
    this.#drivers.clear();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [];
  }

  *listProcesses(): Iterable<ProcessFacts> {
    for (const { pid, pgd, name } of this.#processes.values()) yield { pid, pgd, name };
  }

  *listModules(pgd?: bigint): Iterable<ModuleFacts> {
    for (const process of this.#processes.values()) {
      if (pgd === undefined || pgd === process.pgd) yield* process.modules.values();
    }
    if (pgd !== undefined && pgd !== 0n) return;
    if (this.#drivers.size === 0) this.#refreshDrivers(false);
    yield* this.#drivers.values();
  }

  get #watchesModules(): boolean {
    return this.#watched.has("LOADMODULE_CB") || this.#watched.has("REMOVEMODULE_CB");
  }

  /** The hooks that the watched types need: they stay when only the types change. */
  get #wanted(): string {
    return [this.#watched.size > 0, this.#watchesModules].join();
  }

  /**
   * A process is reported when PspInsertProcess has put it into the list, before its first thread is there; it is the argument
   * that is a process and not yet known. It ends when its address space is taken apart.
   */
  #hookProcesses(): void {
    this.#hook("new processes", ["PspInsertProcess"], (cpu) => {
      const found = ARGUMENTS.map((index) => readWindowsArgument(this.system.kernel, cpu, index)).find(
        (address) => !this.#processes.has(address) && isProcess(this.system.kernel, address),
      );
      if (found !== undefined) this.#returns.add(cpu, () => this.#begin(found));
    });
    // One that was being put into the list when the hooks were set.
    this.#hooks.addFirst(["PspInsertThread"], (cpu) => {
      const owner = this.#findOwner(readWindowsArgument(this.system.kernel, cpu, 0));
      if (owner !== undefined && !this.#processes.has(owner) && isProcess(this.system.kernel, owner))
        this.#begin(owner);
    });
    const onEnd = (cpu: Cpu): void => this.#end(readWindowsArgument(this.system.kernel, cpu, 0));
    this.#hook("ending processes", ["MmCleanProcessAddressSpace"], onEnd);
    this.#hooks.addFirst(["PspProcessDelete"], onEnd);
  }

  /**
   * The images that a process has mapped are compared after each mapping and unmapping: which argument of the function is what differs
   * between versions, and the loader's lists are the program's own.
   */
  #hookModules(): void {
    const onMapping = (cpu: Cpu): void => {
      const named = ARGUMENTS.map((index) => this.#processes.get(readWindowsArgument(this.system.kernel, cpu, index)));
      this.#returns.add(cpu, () => {
        for (const process of new Set([...named, this.#findRunning(cpu)])) {
          if (process && this.#processes.get(process.kaddr) === process) this.#refresh(process, true);
        }
      });
    };
    this.#hook("new modules", ["MiMapViewOfImageSection"], onMapping);
    this.#hook("ending modules", ["MiUnmapViewOfSection"], onMapping);
    this.#hook("kernel modules", ["MiProcessLoaderEntry"], (cpu) => {
      this.#returns.add(cpu, () => this.#refreshDrivers(true));
    });
  }

  #hook(what: string, names: readonly string[], onCall: (cpu: Cpu) => void): void {
    if (this.#hooks.addFirst(names, onCall)) return;
    this.#hooks.fail(what, new Error(`the symbols of the guest's kernel have no function ${names.join(", ")}`));
  }

  #note(process: KnownProcess): void {
    if (this.#processes.size >= MOST_PROCESSES) this.#processes.clear();
    this.#processes.set(process.kaddr, process);
  }

  #begin(address: bigint): void {
    if (this.#processes.has(address)) return;
    const { pid, pgd, name, kaddr } = readProcess(this.system.kernel, address);
    const process: KnownProcess = { pid, pgd, name, kaddr, modules: new Map() };
    this.#note(process);
    if (guestEvents.isWatched("CREATEPROC_CB")) guestEvents.raiseProcess("CREATEPROC_CB", { pid, pgd, name });
    // Its program and first library are mapped before it is in the list.
    if (this.#watchesModules) this.#refresh(process, true);
  }

  #end(address: bigint): void {
    const process = this.#processes.get(address);
    if (!process) return;
    this.#processes.delete(address);
    for (const module of process.modules.values()) raiseModule("REMOVEMODULE_CB", module);
    const { pid, pgd, name } = process;
    if (guestEvents.isWatched("REMOVEPROC_CB")) guestEvents.raiseProcess("REMOVEPROC_CB", { pid, pgd, name });
  }

  /** Looks which images a process has mapped now, and reports those that are new. */
  #refresh({ kaddr, pid, pgd, modules }: KnownProcess, isReported: boolean): void {
    let images;
    try {
      images = listAddressRanges(this.system.kernel, kaddr)
        .filter(({ isImage }) => isImage)
        .map(asImage);
    } catch (error) {
      if (!(error instanceof KernelDataError)) throw error;
      this.#hooks.fail("modules", error);
      return;
    }
    const now = new Map<bigint, ModuleFacts>();
    for (const { base, size, name, path } of images) now.set(base, { pid, pgd, base, size, name, fullname: path });
    compare(modules, now, isReported);
  }

  /** Looks which drivers there are now, and reports what has changed. @throws KernelDataError */
  #refreshDrivers(isReported: boolean): void {
    const { kernel } = this.system;
    const now = new Map<bigint, ModuleFacts>();
    for (const entry of this.system.getKernelModules()) {
      const { base, size, name, path } = asModule(kernel, entry);
      now.set(base, { pid: 0, pgd: 0n, base, size, name, fullname: path });
    }
    compare(this.#drivers, now, isReported);
  }

  /** Reports what has changed in calls that had begun before the hooks were set. */
  #settle(): void {
    try {
      for (const process of this.#processes.values()) this.#refresh(process, true);
      this.#refreshDrivers(true);
    } catch (error) {
      this.#hooks.fail("modules", error);
    }
  }

  #findRunning(cpu: Cpu): KnownProcess | undefined {
    const pgd = getRunningProcess(cpu.index);
    for (const process of this.#processes.values()) if (process.pgd === pgd) return process;
    return undefined;
  }

  /** Reads which process a thread belongs to. */
  #findOwner(thread: bigint): bigint | undefined {
    try {
      const cursor = this.system.kernel.at("_ETHREAD", thread);
      return cursor.value("Tcb.Process", "Tcb.ApcState.Process");
    } catch (error) {
      if (KernelDataError.from(error, "an _ETHREAD", thread) instanceof KernelDataError) return undefined;
      throw error;
    }
  }
}

/** Brings a map of modules up to date, by base; those that go are reported before those that come. */
function compare(known: Map<bigint, ModuleFacts>, now: ReadonlyMap<bigint, ModuleFacts>, isReported: boolean): void {
  for (const [base, facts] of known) {
    const there = now.get(base);
    if (there && there.size === facts.size && there.fullname === facts.fullname) continue;
    known.delete(base);
    if (isReported) raiseModule("REMOVEMODULE_CB", facts);
  }
  for (const [base, facts] of now) {
    if (known.has(base)) continue;
    known.set(base, facts);
    if (isReported) raiseModule("LOADMODULE_CB", facts);
  }
}

function raiseModule(type: "LOADMODULE_CB" | "REMOVEMODULE_CB", facts: ModuleFacts): void {
  if (guestEvents.isWatched(type)) guestEvents.raiseModule(type, facts);
}
