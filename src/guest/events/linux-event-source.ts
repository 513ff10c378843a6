import {
  guestEvents,
  type GuestEventType,
  type ModuleFacts,
  type ProcessFacts,
} from "../../machine/callbacks/guest-event-source";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { KERNEL, kernelAsModule } from "../../systems/linux/modules/guest-module";
import { type KernelModule, readKernelModule } from "../../systems/linux/modules/kernel-module";
import { type AddressSpace, type AddressSpaceTable, NativeSpaceTable } from "./address-spaces";
import type { SystemEventSource } from "./system-events";
import { KernelHooks, readArgument } from "./kernel-hooks";
import { ProcessEvents } from "./process-events";
import { UserModuleEvents } from "./user-module-events";

/** Raises the events of a Linux guest. Its hooks are there while somebody listens. */
export class LinuxEventSource implements SystemEventSource {
  readonly #hooks: KernelHooks;
  #spaces: AddressSpaceTable = new Map<bigint, AddressSpace>();
  #modules: UserModuleEvents;
  readonly #watched = new Set<GuestEventType>();

  constructor(readonly system: LinuxGuest) {
    this.#hooks = new KernelHooks(system.kernel);
    this.#modules = new UserModuleEvents(system, this.#spaces);
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
    this.#spaces = this.#watchesModules ? new Map<bigint, AddressSpace>() : new NativeSpaceTable();
    this.#modules = new UserModuleEvents(this.system, this.#spaces);
    try {
      this.#noteProcesses();
      const events = new ProcessEvents(this.system, this.#spaces, this.#modules);
      events.hook(this.#hooks, { withModules: this.#watchesModules, withPrograms: this.#watchesPrograms });
      if (this.#watchesModules) {
        this.#modules.hook(this.#hooks);
        hookKernelModules(this.system, this.#hooks);
      }
    } catch (error) {
      this.#hooks.fail("hooks", error);
    }
  }

  /** Removes the hooks. */
  close(): void {
    this.#hooks.clear();
    this.#modules.stop();
    this.#spaces.clear();
  }

  *listProcesses(): Iterable<ProcessFacts> {
    const names = new Map(this.system.getProcessList().map(({ pid, name }) => [pid, name]));
    for (const { pid, pgd, name } of this.#spaces.values()) yield { pid, pgd, name: names.get(pid) ?? name };
  }

  *listModules(pgd?: bigint): Iterable<ModuleFacts> {
    for (const space of this.#spaces.values()) {
      if (pgd === undefined || pgd === space.pgd) yield* space.modules?.values() ?? [];
    }
    if (pgd !== undefined && pgd !== 0n) return;
    const { base, size } = kernelAsModule(this.system.kernel);
    yield { pid: 0, pgd: 0n, base, size, name: KERNEL, fullname: "" };
    for (const module of this.system.getKernelModules()) yield kernelModuleFacts(module);
  }

  get #watchesModules(): boolean {
    return this.#watched.has("LOADMODULE_CB") || this.#watched.has("REMOVEMODULE_CB");
  }

  get #watchesPrograms(): boolean {
    return this.#watched.has("EXEC_CB");
  }

  /** The hooks that the watched types need: they stay when only the types change. */
  get #wanted(): string {
    return [this.#watched.size > 0, this.#watchesModules, this.#watchesPrograms].join();
  }

  #noteProcesses(): void {
    for (const leader of this.system.tasks.list()) {
      const { tgid, name, isKernelThread } = leader;
      const { mm, pgd } = this.system.tasks.findLiving(leader);
      // The first that has it made it: those that share it came later.
      if (mm === 0n || isKernelThread || this.#spaces.has(mm)) continue;
      this.#spaces.set(mm, { mm, pid: tgid, pgd, name, isLoading: false, code: [] });
    }
  }
}

/** Hooks the functions of the kernel through which its modules come and go (kernel/module.c, kernel/module/main.c). */
function hookKernelModules(guest: LinuxGuest, hooks: KernelHooks): void {
  const { bits } = guest.kernel;
  for (const [type, names] of [
    // (module), complete, before its first instruction.
    ["LOADMODULE_CB", ["do_init_module"]],
    // (module), after its last instruction, while all of it is still there.
    ["REMOVEMODULE_CB", ["free_module", "module_arch_cleanup"]],
  ] as const) {
    const isThere = hooks.addFirst(names, (cpu) => {
      if (!guestEvents.isWatched(type)) return;
      const module = readKernelModule(guest.kernel, readArgument(cpu, 0, bits));
      if (module) guestEvents.raiseModule(type, kernelModuleFacts(module));
    });
    if (!isThere) {
      hooks.fail("kernel modules", new Error(`the guest's kernel has none of the functions ${names.join(", ")}`));
    }
  }
}

/** Describes a kernel module, which does not know its path. */
function kernelModuleFacts({ name, base, lastingSize }: KernelModule): ModuleFacts {
  return { pid: 0, pgd: 0n, base, size: lastingSize, name, fullname: "" };
}
