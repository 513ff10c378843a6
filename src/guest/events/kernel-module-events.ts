import { guestEvents, type ModuleFacts } from "../../machine/callbacks/guest-event-source";
import { type KernelModule, readKernelModule } from "../../systems/linux/modules/kernel-module";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import { readArgument } from "./call-arguments";
import type { KernelHooks } from "./kernel-hooks";

/** Hooks the functions of the kernel through which its modules come and go (kernel/module.c, kernel/module/main.c). */
export function hookKernelModules(guest: LinuxGuest, hooks: KernelHooks): void {
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

/** What is told of a kernel module; it does not know where it came from. */
export function kernelModuleFacts({ name, base, lastingSize }: KernelModule): ModuleFacts {
  return { pid: 0, pgd: 0n, base, size: lastingSize, name, fullname: "" };
}
