import type { Cpu } from "../../machine/state/cpu";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { readArgument } from "../events/kernel-hooks";
import type { AdoptingScope } from "./adopting-scope";
import type { ScopeConditions } from "./scope-conditions";
import type { ScopeHooks } from "./scope-hooks";

/** Requests of ptrace(2) that change the traced process (include/uapi/linux/ptrace.h, arch/x86/include/uapi/asm/ptrace-abi.h). */
const CHANGES: ReadonlyMap<bigint, string> = new Map([
  [4n, "PTRACE_POKETEXT"],
  [5n, "PTRACE_POKEDATA"],
  [6n, "PTRACE_POKEUSER"],
  [13n, "PTRACE_SETREGS"],
  [15n, "PTRACE_SETFPREGS"],
  [0x4205n, "PTRACE_SETREGSET"],
]);
const WRITE_CALLS = ["__x64_sys_", "__ia32_sys_", "__ia32_compat_sys_", "sys_"].map(
  (prefix) => `${prefix}process_vm_writev`,
);
const LONGEST_PATH = 4096;
/** Programs that the kernel was asked for and has not begun. */
const MOST_HELPERS = 1000;

/** Takes processes into a scope that a process of the scope changes from outside, and programs that the kernel starts for one. */
export class Injections {
  readonly #guest: LinuxGuest;
  readonly #hooks: ScopeHooks;
  readonly #scope: AdoptingScope;
  /** Tasks within process_vm_writev(), with the task whose memory each has got. */
  readonly #writing = new Map<bigint, bigint | undefined>();
  /** By the address of the subprocess_info: who has caused it. */
  readonly #helpers = new Map<bigint, number>();

  constructor(
    guest: LinuxGuest,
    hooks: ScopeHooks,
    scope: AdoptingScope,
    private readonly conditions: ScopeConditions,
  ) {
    this.#guest = guest;
    this.#hooks = hooks;
    this.#scope = scope;
  }

  /** Whether a program that the kernel was asked for is still to begin. */
  get hasHelpers(): boolean {
    return this.#helpers.size > 0;
  }

  /** Hooks the functions; what this kernel lacks is not seen. */
  hook(): void {
    const { bits } = this.#guest.kernel;
    const add = (names: readonly string[], act: (cpu: Cpu, pid: number, current: bigint) => void): void => {
      this.#hooks.addAll(names, (cpu, current) => {
        const pid = this.#scope.findPid(current);
        if (pid !== undefined) act(cpu, pid, current);
      });
    };
    // arch/x86/kernel/ptrace.c: (child, request, addr, data), once the child is traced and stands still.
    add(["arch_ptrace", "compat_arch_ptrace"], (cpu, pid) => {
      const child = readArgument(cpu, 0, bits);
      const change = CHANGES.get(readArgument(cpu, 1, bits));
      if (change === undefined || this.#scope.has(child)) return;
      this.#hooks.onReturn(cpu, (result) => {
        if (result >= 0n) this.#scope.adopt(child, pid, `ptrace(${change})`);
      });
    });
    // mm/process_vm_access.c: gets the memory of the task by mm_access(), then writes.
    add(WRITE_CALLS, (cpu, pid, current) => {
      this.#writing.set(current, undefined);
      this.#hooks.onReturn(cpu, (result) => {
        const victim = this.#writing.get(current);
        this.#writing.delete(current);
        if (result > 0n && victim !== undefined) this.#scope.adopt(victim, pid, "process_vm_writev()");
      });
    });
    add(["mm_access"], (cpu, _pid, current) => {
      if (this.#writing.has(current)) this.#writing.set(current, readArgument(cpu, 0, bits));
    });
    // fs/proc/base.c: a write to /proc/PID/mem; the file has the memory.
    add(["mem_write"], (cpu, pid) => {
      const mm = this.#guest.kernel.at("file", readArgument(cpu, 0, bits)).value("private_data");
      this.#hooks.onReturn(cpu, (result) => {
        const victim = result > 0n && mm !== 0n ? this.#findByMemory(mm) : undefined;
        if (victim !== undefined) this.#scope.adopt(victim, pid, "a write to /proc/PID/mem");
      });
    });
    // kernel/umh.c: a program that the kernel is to start, and the task in which it does.
    const { conditions } = this;
    const isKnown = [conditions.argument(0, conditions.helpers)];
    this.#hooks.addAll(
      ["call_usermodehelper_exec"],
      (cpu, current) => {
        const info = readArgument(cpu, 0, bits);
        const pid = this.#scope.findPid(current);
        // One that was never started may have had the same place.
        if (pid === undefined) this.#forgetHelper(info);
        else if (this.#helpers.size < MOST_HELPERS) {
          this.#helpers.set(info, pid);
          conditions.helpers.add(info);
        }
      },
      [...conditions.running, isKnown],
    );
    this.#hooks.addAll(
      ["call_usermodehelper_exec_async"],
      (cpu, current) => {
        const info = readArgument(cpu, 0, bits);
        const by = this.#helpers.get(info);
        if (by === undefined) return;
        this.#forgetHelper(info);
        const path = this.#guest.kernel.at("subprocess_info", info).text(LONGEST_PATH, "path");
        this.#scope.adopt(current, by, `the kernel starts ${path} for it`, true);
      },
      [isKnown],
    );
  }

  #forgetHelper(info: bigint): void {
    this.#helpers.delete(info);
    this.conditions.helpers.delete(info);
  }

  #findByMemory(mm: bigint): bigint | undefined {
    for (const leader of this.#guest.tasks.list()) {
      const task = this.#guest.tasks.findLiving(leader);
      if (task.mm === mm) return task.kaddr;
    }
    return undefined;
  }
}
