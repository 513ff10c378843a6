import type { Abandonment, FunctionCall } from "./function-call";
import type { HookedFunction } from "./hooked-function";

/** A call whose end is waited for. */
export interface OpenCall {
  readonly call: FunctionCall;
  readonly called: HookedFunction;
}

/** The calls of one thread, the outermost first. */
interface CallStack {
  /** The address space of its calls: a thread that begins a new program has another one. */
  readonly pgd: bigint;
  readonly calls: OpenCall[];
}

/** A call that has ended, and how. */
export interface EndedCall extends OpenCall {
  readonly abandoned?: Abandonment;
}

/** Functions of i386 may take their parameters off the stack when they return: so many bytes at most. */
const MOST_TAKEN = 256n;

/**
 * Keeps the calls that have begun, of each thread by its stack pointer. The stack grows downward: a call whose stack pointer at its first
 * instruction lies below that of its thread now has been left, and if nobody saw it return, it was jumped over.
 */
export class OpenCalls {
  readonly #stacks = new Map<bigint, CallStack>();

  /** The number of threads that have open calls. */
  get threadCount(): number {
    return this.#stacks.size;
  }

  /** How many calls of a thread are open. */
  depthOf(thread: bigint): number {
    return this.#stacks.get(thread)?.calls.length ?? 0;
  }

  /**
   * Takes out what a thread has left when it comes to the first instruction of a hooked function.
   *
   * A call with the same stack pointer and return address is the caller by a tail call: both return together. When it is one of the
   * same function, its place has been used anew: it was jumped over.
   */
  enter(thread: bigint, pgd: bigint, stackPointer: bigint, returnAddress: bigint, address: bigint): EndedCall[] {
    const stack = this.#stacks.get(thread);
    if (stack === undefined) return [];
    if (stack.pgd !== pgd) return this.endThread(thread, "program replaced");
    const { calls } = stack;
    const isLeft = ({ call }: OpenCall): boolean =>
      call.stackPointer < stackPointer ||
      (call.stackPointer === stackPointer && (call.returnAddress !== returnAddress || call.address === address));
    const first = calls.findIndex(isLeft);
    return first < 0 ? [] : this.#takeOut(thread, calls, first).map((one) => ({ ...one, abandoned: "jumped over" }));
  }

  /** Finds the call that has become one with this stack pointer and return address by a tail call. */
  findTailCaller(thread: bigint, stackPointer: bigint, returnAddress: bigint): OpenCall | undefined {
    const last = this.#stacks.get(thread)?.calls.at(-1);
    return last?.call.stackPointer === stackPointer && last.call.returnAddress === returnAddress ? last : undefined;
  }

  /** Notes calls that begin. */
  push(thread: bigint, pgd: bigint, open: OpenCall): void {
    const stack = this.#stacks.get(thread);
    if (stack === undefined) this.#stacks.set(thread, { pgd, calls: [open] });
    else stack.calls.push(open);
  }

  /**
   * Takes out what a thread has left when it comes to an address that calls return to.
   *
   * @param stackPointer there: above the return address
   * @param word the size of an address in the code there
   * @returns the calls that have returned or were jumped over, the innermost first
   */
  leave(thread: bigint, pgd: bigint, stackPointer: bigint, address: bigint, word: 4 | 8): EndedCall[] {
    const stack = this.#stacks.get(thread);
    if (stack === undefined || stack.pgd !== pgd) return [];
    const { calls } = stack;
    const first = calls.findIndex(({ call }) => call.stackPointer < stackPointer);
    if (first < 0) return [];
    const ended = this.#takeOut(thread, calls, first);
    // The outermost of them has returned here, with those that called it by a tail call; those further in were jumped over.
    const outermost = ended.at(-1)!.call;
    const taken = stackPointer - outermost.stackPointer - BigInt(word);
    const isHere = outermost.returnAddress === address && taken >= 0n && taken <= (word === 4 ? MOST_TAKEN : 0n);
    return ended.map((one) => {
      const { call } = one;
      return isHere && call.stackPointer === outermost.stackPointer && call.returnAddress === address
        ? one
        : { ...one, abandoned: "jumped over" };
    });
  }

  /** Takes out all calls of a thread. @returns the innermost first */
  endThread(thread: bigint, abandoned: Abandonment): EndedCall[] {
    const stack = this.#stacks.get(thread);
    if (stack === undefined) return [];
    this.#stacks.delete(thread);
    return stack.calls.toReversed().map((one) => ({ ...one, abandoned }));
  }

  /** Takes out all calls in an address space. @returns the innermost of each thread first */
  endSpace(pgd: bigint, abandoned: Abandonment): EndedCall[] {
    const threads = [...this.#stacks].filter(([, stack]) => stack.pgd === pgd);
    return threads.flatMap(([thread]) => this.endThread(thread, abandoned));
  }

  /** Reports whether a call in an address space is to return to an address. */
  isAwaited(pgd: bigint, address: bigint): boolean {
    for (const stack of this.#stacks.values()) {
      if (stack.pgd === pgd && stack.calls.some(({ call }) => call.returnAddress === address)) return true;
    }
    return false;
  }

  /** Forgets the calls of a hook that was removed. */
  forget(isGone: (open: OpenCall) => boolean): void {
    for (const [thread, { calls }] of this.#stacks) {
      for (let index = calls.length - 1; index >= 0; index--) if (isGone(calls[index]!)) calls.splice(index, 1);
      if (calls.length === 0) this.#stacks.delete(thread);
    }
  }

  #takeOut(thread: bigint, calls: OpenCall[], first: number): OpenCall[] {
    if (first === 0) this.#stacks.delete(thread);
    return calls.splice(first).reverse();
  }
}
