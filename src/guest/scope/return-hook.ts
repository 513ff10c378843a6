import type { GuestSet } from "../../machine/callbacks/guest-set";

/** Called with the result of a function of the kernel, as a signed number of the kernel's size. */
export type ReturnAct = (result: bigint) => void;

/** The calls of the kernel's functions that are to return to one place, and what is done then. */
export class ReturnHook {
  readonly #acts = new Map<bigint, ReturnAct[]>();

  /** @param stacks the stack pointers with which they come there; the addon asks it */
  constructor(readonly stacks: GuestSet) {}

  /** Does something when a call returns with this stack pointer. */
  expect(stack: bigint, act: ReturnAct): void {
    const acts = this.#acts.get(stack);
    if (acts !== undefined) return void acts.push(act);
    this.#acts.set(stack, [act]);
    this.stacks.add(stack);
  }

  /** Takes what is to be done for the call that returned with this stack pointer. */
  take(stack: bigint): readonly ReturnAct[] {
    const acts = this.#acts.get(stack) ?? [];
    this.#acts.delete(stack);
    this.stacks.delete(stack);
    return acts;
  }
}
