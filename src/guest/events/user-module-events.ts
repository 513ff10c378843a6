import { guestEvents, type ModuleFacts } from "../../machine/callbacks/guest-event-source";
import { findUserModules } from "../../systems/linux/modules/guest-module";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { AddressSpace, AddressSpaceTable } from "./address-spaces";
import { type KernelHooks, readArgument } from "./kernel-hooks";

/** include/linux/mm.h */
const VM_EXEC = 4n;

/** Raises the events of programs and libraries: files of which a process maps something as code. */
export class UserModuleEvents {
  /** Set when the end of a program's loading is not seen: mappings are then reported at once. */
  tellsAtOnce = false;
  readonly #guest: LinuxGuest;
  readonly #spaces: AddressSpaceTable;
  #isOn = false;

  constructor(guest: LinuxGuest, spaces: AddressSpaceTable) {
    this.#guest = guest;
    this.#spaces = spaces;
  }

  /** Hooks the functions of the kernel that see mappings come and go, and notes what is mapped now. */
  hook(hooks: KernelHooks): void {
    const { bits } = this.#guest.kernel;
    this.#isOn = true;
    // kernel/events/core.c, (vma), when mmap() or mprotect() is done with it.
    const comes = ["perf_event_mmap", "uprobe_mmap"];
    // kernel/events/uprobes.c, (vma, ...), when its pages are let go: it is no longer among the mappings. In its
    // place mm/memory.c, (tlb, ...), for each munmap().
    const goes = "uprobe_munmap";
    const goesOften = "unmap_vmas";
    const missing = (what: string, names: readonly string[]): void =>
      hooks.fail(what, new Error(`the guest's kernel has none of the functions ${names.join(", ")}`));
    if (!hooks.addFirst(comes, (cpu) => this.#onMapped(readArgument(cpu, 0, bits)))) missing("mappings", comes);
    const onGone = hooks.addFirst([goes], (cpu) => this.#onUnmapped(readArgument(cpu, 0, bits)));
    if (!onGone && !hooks.addFirst([goesOften], (cpu) => this.#onGathered(readArgument(cpu, 0, bits)))) {
      missing("ends of mappings", [goes, goesOften]);
    }
    for (const space of this.#spaces.values()) {
      try {
        this.#note(space);
      } catch (error) {
        hooks.fail("mappings of a process", error);
      }
    }
  }

  /** Forgets what is mapped: nobody wants to know. */
  stop(): void {
    this.#isOn = false;
    for (const space of this.#spaces.values()) {
      delete space.modules;
      space.code = [];
    }
  }

  /** Begins with an address space of which no module has been reported. */
  prepare(space: AddressSpace): void {
    if (this.#isOn) space.modules = new Map();
    if (this.tellsAtOnce) space.isLoading = false;
  }

  /** Compares the mappings with the modules that have been reported, and reports the difference. */
  refresh(space: AddressSpace): void {
    if (!this.#isOn) return;
    const before = space.modules ?? new Map<bigint, ModuleFacts>();
    const now = this.#note(space);
    for (const [base, module] of before) if (!isSame(module, now.get(base))) raise("REMOVEMODULE_CB", module);
    for (const [base, module] of now) if (!isSame(module, before.get(base))) raise("LOADMODULE_CB", module);
  }

  /** Reports that an address space ends, with all of its modules. */
  removeAll(space: AddressSpace): void {
    for (const module of space.modules?.values() ?? []) raise("REMOVEMODULE_CB", module);
  }

  #note(space: AddressSpace): ReadonlyMap<bigint, ModuleFacts> {
    const { pid, pgd } = space;
    const map = this.#guest.maps.read(space.mm);
    const modules = findUserModules(map).map(({ base, size, name, path }): [bigint, ModuleFacts] => [
      base,
      { pid, pgd, base, size, name, fullname: path },
    ]);
    space.code = map.filter(({ file, permissions }) => file !== 0n && permissions.includes("x"));
    const noted = new Map(modules);
    space.modules = noted;
    return noted;
  }

  #onMapped(address: bigint): void {
    const area = this.#guest.kernel.at("vm_area_struct", address);
    const space = this.#findSpace(area.value("vm_mm"));
    if (!space) return;
    const isCode = (area.value("vm_flags") & VM_EXEC) !== 0n && area.value("vm_file") !== 0n;
    if (isCode || covers(space, area.value("vm_start"), area.value("vm_end"))) this.refresh(space);
  }

  #onUnmapped(address: bigint): void {
    const area = this.#guest.kernel.at("vm_area_struct", address);
    if ((area.value("vm_flags") & VM_EXEC) === 0n) return;
    const space = this.#findSpace(area.value("vm_mm"));
    if (space) this.refresh(space);
  }

  #onGathered(address: bigint): void {
    const space = this.#findSpace(this.#guest.kernel.at("mmu_gather", address).value("mm"));
    if (space) this.refresh(space);
  }

  #findSpace(mm: bigint): AddressSpace | undefined {
    const space = this.#spaces.get(mm);
    return space && !space.isLoading ? space : undefined;
  }
}

function covers({ code }: AddressSpace, from: bigint, to: bigint): boolean {
  return code.some(({ start, end }) => start < to && from < end);
}

/** A file that is removed while it is mapped gets another path. */
function isSame(one: ModuleFacts, other: ModuleFacts | undefined): boolean {
  const strip = (path: string): string => path.replace(/ \(deleted\)$/, "");
  return other !== undefined && strip(one.fullname) === strip(other.fullname);
}

function raise(type: "LOADMODULE_CB" | "REMOVEMODULE_CB", module: ModuleFacts): void {
  if (guestEvents.isWatched(type)) guestEvents.raiseModule(type, module);
}
