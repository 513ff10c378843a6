import type { GuestTest } from "../../machine/callbacks/guest-condition";
import type { Cpu } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { Mapping } from "../../systems/linux/processes/memory-map";
import { readArgument } from "../events/kernel-hooks";
import type { ScopeHooks } from "../scope/scope-hooks";
import type { TargetScope } from "../scope/target-scope";

const PAGE = 4096n;
/** include/uapi/asm-generic/mman-common.h. */
const PROT_WRITE = 2n;
const PROT_EXEC = 4n;
/** mremap(2) in all its forms (arch/x86/entry/syscalls/). */
const MOVES = ["__x64_sys_mremap", "__ia32_sys_mremap", "sys_mremap"];
/** Memory of the kernel that programs execute: it is no mapping of a file, and no program writes it. */
const OF_KERNEL = new Set(["[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]", "[uprobes]"]);

/** Is told which memory was made executable in the address space of the task that is in the kernel, by which task. */
export type ExecutableListener = (mappings: readonly Mapping[], current: bigint) => void;

/** Watches which memory the processes of a scope make executable that programs can have written. */
export class ExecutableMemory {
  constructor(
    private readonly guest: LinuxGuest,
    private readonly hooks: ScopeHooks,
    private readonly scope: TargetScope,
    private readonly listener: ExecutableListener,
  ) {}

  /** Hooks the kernel. @returns the calls that this kernel does not show */
  hook(): string[] {
    const { bits } = this.guest.kernel;
    const missing: string[] = [];
    const need = (what: string, isHooked: boolean): void => void (isHooked || missing.push(what));
    const withRights = (from: GuestTest["from"]): GuestTest[][] =>
      this.scope.conditions.running.map((tests) => [{ from, via: [], is: PROT_EXEC }, ...tests]);
    // mm/util.c: (file, address, length, rights, flags, page).
    const onMap = (cpu: Cpu, current: bigint): void => {
      const length = readArgument(cpu, 2, bits);
      // The code of libraries, which is the most that programs map.
      if (!this.#isOfInterest(readArgument(cpu, 0, bits), cpu)) return;
      this.hooks.onReturn(cpu, (result) => {
        const start = BigInt.asUintN(64, result);
        if (start % PAGE === 0n) this.#tell(current, start, start + length, true);
      });
    };
    need("mmap", this.hooks.addFirst(["vm_mmap_pgoff"], onMap, withRights("RCX")));
    // mm/mprotect.c: (address, length, rights, key).
    const onProtect = (cpu: Cpu, current: bigint): void => {
      const [start, length] = [readArgument(cpu, 0, bits), readArgument(cpu, 1, bits)];
      this.hooks.onReturn(cpu, (result) => {
        if (BigInt.asIntN(32, result) === 0n) this.#tell(current, start, start + length, true);
      });
    };
    need("mprotect", this.hooks.addFirst(["do_mprotect_pkey"], onProtect, withRights("RDX")));
    const onMove = (cpu: Cpu, current: bigint): void =>
      this.hooks.onReturn(cpu, (result) => {
        if (result < 0n && result > -PAGE) return;
        this.#tell(current, 0n, 1n << 63n, false);
      });
    need("mremap", this.hooks.addAll(MOVES, onMove));
    return missing;
  }

  /**
   * Lists the mappings of an address space that can be executed and that a program can have written.
   *
   * @param mm the address of its mm_struct
   * @param isAsked a program has asked for the memory: the kernel may have made other ones for the file of the program itself
   * @param withText also the code of files that was not written until now, because another process may write it
   */
  list(mm: bigint, isAsked: boolean, withText = false): Mapping[] {
    return this.guest.maps.read(mm, true).filter((mapping) => this.#canBeWritten(mapping, isAsked, withText));
  }

  /** @param cpu that has the rights as the fourth argument */
  #isOfInterest(file: bigint, { RCX: rights }: Cpu): boolean {
    return file === 0n || (rights & PROT_WRITE) !== 0n || this.#isNameless(file);
  }

  #isNameless(file: bigint): boolean {
    return this.guest.kernel.at("file", file).follow("f_inode")?.number("i_nlink") === 0;
  }

  #tell(current: bigint, start: bigint, end: bigint, isAsked: boolean): void {
    const mm = this.guest.kernel.at("task_struct", current).value("mm");
    if (mm === 0n) return;
    const mappings = this.list(mm, isAsked).filter((one) => one.start < end && one.end > start);
    if (mappings.length > 0) this.listener(mappings, current);
  }

  #canBeWritten({ permissions, file, path, start, kaddr }: Mapping, isAsked: boolean, withText: boolean): boolean {
    if (permissions[2] !== "x" || start >= 1n << 63n || OF_KERNEL.has(path)) return false;
    if (file === 0n || permissions[1] === "w" || (withText && permissions[3] === "p")) return true;
    // A private page that was written is anonymous from then on (mm/memory.c: wp_page_copy()).
    if (permissions[3] === "p" && this.guest.kernel.at("vm_area_struct", kaddr).value("anon_vma") !== 0n) return true;
    // A file without a name, of memfd_create(2) for example.
    return isAsked && this.#isNameless(file);
  }
}
