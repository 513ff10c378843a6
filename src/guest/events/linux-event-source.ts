import type {
  GuestEventSource,
  GuestEventType,
  ModuleFacts,
  ProcessFacts,
} from "../../machine/callbacks/guest-event-source";
import { KERNEL, kernelAsModule } from "../../systems/linux/modules/guest-module";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { AddressSpace } from "./address-space";
import type { AddressSpaceTable } from "./address-space-table";
import { hookKernelModules, kernelModuleFacts } from "./kernel-module-events";
import { KernelHooks } from "./kernel-hooks";
import { NativeSpaceTable } from "./native-space-table";
import { ProcessEvents } from "./process-events";
import { UserModuleEvents } from "./user-module-events";

/** Raises the events of a Linux guest. Its hooks are there while somebody listens. */
export class LinuxEventSource implements GuestEventSource {
  readonly #hooks: KernelHooks;
  #spaces: AddressSpaceTable = new Map<bigint, AddressSpace>();
  #modules: UserModuleEvents;
  readonly #watched = new Set<GuestEventType>();

  constructor(readonly guest: LinuxGuest) {
    this.#hooks = new KernelHooks(guest.kernel);
    this.#modules = new UserModuleEvents(guest, this.#spaces);
  }

  watch(type: GuestEventType, on: boolean): void {
    const [hadAny, hadModules] = [this.#watched.size > 0, this.#watchesModules];
    if (on) this.#watched.add(type);
    else this.#watched.delete(type);
    if (hadAny !== this.#watched.size > 0 || hadModules !== this.#watchesModules) this.renew();
  }

  /** Hooks anew, and notes what exists now: the guest may be another than before. */
  renew(): void {
    this.close();
    if (this.#watched.size === 0) return;
    this.#spaces = this.#watchesModules ? new Map<bigint, AddressSpace>() : new NativeSpaceTable();
    this.#modules = new UserModuleEvents(this.guest, this.#spaces);
    try {
      this.#noteProcesses();
      new ProcessEvents(this.guest, this.#spaces, this.#modules).hook(this.#hooks, this.#watchesModules);
      if (this.#watchesModules) {
        this.#modules.hook(this.#hooks);
        hookKernelModules(this.guest, this.#hooks);
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
    const names = new Map(this.guest.getProcessList().map(({ pid, name }) => [pid, name]));
    for (const { pid, pgd, name } of this.#spaces.values()) yield { pid, pgd, name: names.get(pid) ?? name };
  }

  *listModules(pgd?: bigint): Iterable<ModuleFacts> {
    for (const space of this.#spaces.values()) {
      if (pgd === undefined || pgd === space.pgd) yield* space.modules?.values() ?? [];
    }
    if (pgd !== undefined && pgd !== 0n) return;
    const { base, size } = kernelAsModule(this.guest.kernel);
    yield { pid: 0, pgd: 0n, base, size, name: KERNEL, fullname: "" };
    for (const module of this.guest.getKernelModules()) yield kernelModuleFacts(module);
  }

  get #watchesModules(): boolean {
    return this.#watched.has("LOADMODULE_CB") || this.#watched.has("REMOVEMODULE_CB");
  }

  #noteProcesses(): void {
    for (const { mm, tgid, pgd, name, isKernelThread } of this.guest.tasks.list()) {
      // The first that has it made it: those that share it came later.
      if (mm === 0n || isKernelThread || this.#spaces.has(mm)) continue;
      this.#spaces.set(mm, { mm, pid: tgid, pgd, name, isLoading: false, code: [] });
    }
  }
}
