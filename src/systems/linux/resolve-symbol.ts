import { KERNEL } from "./modules/guest-module";
import type { LinuxGuest } from "./linux-guest";

/**
 * Finds a symbol by its name.
 *
 * @param pgd of a process, or 0 for none
 * @param module its name or path; without it the kernel is looked through, then its modules, then what the process has
 */
export function resolveSymbol(
  guest: LinuxGuest,
  pgd: bigint,
  module: string | undefined,
  name: string,
): bigint | undefined {
  const spaces = pgd === 0n ? [0n] : [0n, pgd];
  if (module === undefined) {
    const address = guest.symbols.findAddress(0n, KERNEL, name);
    if (address !== undefined) return address;
  }
  for (const space of spaces) {
    const names =
      module === undefined ? guest.symbols.getModules(space).map((found) => found.path || found.name) : [module];
    for (const candidate of names) {
      const address = guest.symbols.findAddress(space, candidate, name);
      if (address !== undefined) return address;
    }
  }
  return undefined;
}
