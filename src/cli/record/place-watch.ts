import { watchPlace } from "../../guest/breakpoints/code-hooks";
import { describePastHit } from "../../guest/breakpoints/past-hits";
import type { FoundHit } from "../../guest/breakpoints/past-parts";
import { CallbackManager } from "../../machine/callbacks/callback-manager";
import { Engine } from "../../machine/engine/engine";
import { ModuleOwner } from "../../machine/ownership/module-owner";
import { getInstructionCount } from "../../machine/state/instruction-count";
import { ALL_PROCESSES } from "../../machine/state/processes";
import type { WatchedPlace } from "./watched-place";

const TYPES = { written: "write", read: "read" } as const;

/** The part of a replay whose hits are told: from a count on, and up to, without, another one. */
export interface WatchedPart {
  readonly from: number;
  readonly to: number;
}

/**
 * Tells of everything that happens at places while a machine executes.
 *
 * @param tell receives a sentence, and the same as data
 */
export function watchPlaces(
  places: readonly WatchedPlace[],
  { from, to }: WatchedPart,
  tell: (text: string, hit: FoundHit) => void,
): void {
  const callbacks = new CallbackManager(0, new ModuleOwner("replay"));
  for (const { what, isPhysical, address, size } of places) {
    const type = what === "executed" ? "execution" : (`${isPhysical ? "physical" : "memory"}-${TYPES[what]}` as const);
    watchPlace(callbacks, { type, address, size, pgd: ALL_PROCESSES }, (hit) => {
      const count = getInstructionCount();
      // What a replay goes over once more was told before.
      if (count < from || count >= to || Engine.get().travels) return;
      const past = { what, ...describePastHit(hit, count) };
      tell(describePlaceHit(past), past);
    });
  }
}

/** Writes a hit as a sentence. */
export function describePlaceHit(hit: FoundHit): string {
  const { what, count, pc, pgd, process, pid, address, size, value } = hit;
  const by = process === undefined ? `page table 0x${pgd.toString(16)}` : `${process}:${pid}`;
  const access =
    size === 0
      ? ""
      : `, ${size} bytes at 0x${address.toString(16)}${value === undefined ? "" : ` = 0x${value.toString(16)}`}`;
  return `instruction ${count}: ${what} by ${by} at 0x${pc.toString(16)}${access}`;
}
