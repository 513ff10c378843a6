import { watchPlace } from "../../guest/breakpoints/code-hooks";
import { describePastHit, type PastHit } from "../../guest/breakpoints/past-hits";
import { CallbackManager } from "../../machine/callbacks/callback-manager";
import { ModuleOwner } from "../../machine/ownership/module-owner";
import { getInstructionCount } from "../../machine/state/instruction-count";
import { ALL_PROCESSES } from "../../machine/state/processes";
import type { WatchedPlace } from "./watched-place";

/**
 * Tells of everything that happens at places while a machine executes.
 *
 * @param tell receives a sentence, and the same as data
 */
export function watchPlaces(places: readonly WatchedPlace[], tell: (text: string, hit: PastHit) => void): void {
  const callbacks = new CallbackManager(0, new ModuleOwner("replay"));
  for (const { what, isPhysical, address, size } of places) {
    const type = what === "executed" ? "execution" : isPhysical ? "physical-write" : "memory-write";
    watchPlace(callbacks, { type, address, size, pgd: ALL_PROCESSES }, (hit) => {
      const past = describePastHit(hit, getInstructionCount());
      tell(describe(what, past), past);
    });
  }
}

function describe(what: string, { count, pc, pgd, process, pid, address, size, value }: PastHit): string {
  const by = process === undefined ? `page table 0x${pgd.toString(16)}` : `${process}:${pid}`;
  const access =
    size === 0
      ? ""
      : `, ${size} bytes at 0x${address.toString(16)}${value === undefined ? "" : ` = 0x${value.toString(16)}`}`;
  return `instruction ${count}: ${what} by ${by} at 0x${pc.toString(16)}${access}`;
}
