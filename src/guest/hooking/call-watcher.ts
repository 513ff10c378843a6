import type { Cpu } from "../../machine/state/cpu";
import { FunctionCall } from "./function-call";
import { WordReader } from "./values/guest-values";
import type { HookAccess } from "./hook-access";
import type { CallContext, HookedFunction } from "./hooked-function";
import type { Entry, HookedSpace, SpaceEvents } from "./hooked-space";
import { type EndedCall, OpenCalls } from "./open-calls";
import { ThreadReader } from "./thread-reader";

/** The stack of a thread in the kernel begins at a multiple of its size (arch/x86/include/asm/page_types.h: THREAD_SIZE). */
const KERNEL_STACK_BITS = { 64: 14n, 32: 13n } as const;
/** Marks what identifies a stack in the kernel: a thread has another one in its program. */
const KERNEL_MARK = 1n << 64n;

type Outcome = void | Promise<void>;

/** Follows the calls of hooked functions from their first instruction to their end, and calls the hooks' functions. */
export class CallWatcher implements SpaceEvents {
  readonly threads: ThreadReader;
  readonly #context: CallContext;
  readonly #open = new OpenCalls();

  constructor(private readonly access: HookAccess) {
    this.threads = new ThreadReader(access);
    this.#context = { access, words: new WordReader(access), threads: this.threads };
  }

  onEnter(space: HookedSpace, { functions, address }: Entry, cpuIndex: number, cpu: Cpu): Outcome {
    const first = functions[0];
    if (first === undefined) return;
    const isNarrow = first.convention !== "sysv64";
    const pgd = space.pgd === 0n ? this.access.getRunningProcess(cpuIndex) : space.pgd;
    const stackPointer = isNarrow ? cpu.ESP : cpu.RSP;
    const returnAddress = this.#context.words.read(pgd, stackPointer, isNarrow ? 4 : 8);
    if (returnAddress === undefined) return;
    let thread: bigint | undefined;
    let ended: readonly EndedCall[] = [];
    if (functions.some(({ hook }) => hook.handlers.onLeave !== undefined)) {
      thread = this.#identify(space, cpu, pgd, stackPointer);
      ended = this.#open.enter(thread, space.pgd, stackPointer, returnAddress, address);
    }
    const steps: (() => Outcome)[] = ended.map((one) => () => this.#end(one, cpuIndex));
    for (const called of functions) {
      const { hook, from, to } = called;
      if (hook.fromOutside && returnAddress >= from && returnAddress < to) continue;
      // A function of the module has become this one by a tail call, and has the caller of before.
      const before = thread === undefined ? undefined : this.#open.findTailCaller(thread, stackPointer, returnAddress);
      if (hook.fromOutside && before?.called.from === from) continue;
      steps.push(() => {
        hook.calls++;
        const depth = thread === undefined ? 0 : this.#open.depthOf(thread);
        const call = new FunctionCall(this.#context, called, cpu, pgd, returnAddress, stackPointer, depth);
        return this.#begin(space, called, call, thread);
      });
    }
    return runAll(steps);
  }

  onReturn(space: HookedSpace, address: bigint, cpuIndex: number, cpu: Cpu): Outcome {
    if (this.#open.threadCount === 0) return;
    const isNarrow = (cpu.CS_FLAGS & LONG_CODE) === 0n;
    const pgd = space.pgd === 0n ? this.access.getRunningProcess(cpuIndex) : space.pgd;
    const stackPointer = isNarrow ? cpu.ESP : cpu.RSP;
    const word = isNarrow ? 4 : 8;
    const thread = this.#identify(space, cpu, pgd, stackPointer - BigInt(word));
    const ended = this.#open.leave(thread, space.pgd, stackPointer, address, word);
    return runAll(ended.map((one) => () => this.#end(one, cpuIndex)));
  }

  /** Ends the calls of the thread that a vCPU executes: it is at the end of its life. */
  onThreadEnd(cpu: Cpu): Outcome {
    if (this.#open.threadCount === 0) return;
    const pgd = this.access.getRunningProcess(cpu.index);
    const keys = [this.threads.readKey(cpu, pgd), this.#identifyStack(cpu.RSP)];
    const ended = keys.flatMap((key) => this.#open.endThread(key, "thread ended"));
    return runAll(ended.map((one) => () => this.#end(one, cpu.index)));
  }

  /** Ends the calls in an address space that is gone: those of threads that ended with it have ended before. */
  onSpaceEnd(pgd: bigint): Outcome {
    return runAll(this.#open.endSpace(pgd, "program replaced").map((one) => () => this.#end(one, one.call.cpuIndex)));
  }

  /** Forgets the open calls of functions. */
  forget(isGone: (called: HookedFunction) => boolean): void {
    this.#open.forget(({ called }) => isGone(called));
  }

  #begin(space: HookedSpace, called: HookedFunction, call: FunctionCall, thread: bigint | undefined): Outcome {
    const { onEnter, onLeave } = called.hook.handlers;
    const goOn = (): void => {
      if (!call.begin() || onLeave === undefined || thread === undefined || called.hook.isRemoved) return;
      this.#open.push(thread, space.pgd, { call, called });
      space.watchReturn(call.returnAddress, (address) => this.#open.isAwaited(space.pgd, address));
    };
    let result: Outcome = undefined;
    try {
      result = onEnter?.(call);
    } finally {
      if (!(result instanceof Promise)) goOn();
    }
    return result instanceof Promise ? result.finally(goOn) : undefined;
  }

  #end({ call, called, abandoned }: EndedCall, cpuIndex: number): Outcome {
    call.end(cpuIndex, abandoned);
    let result: Outcome = undefined;
    try {
      result = called.hook.handlers.onLeave?.(call);
    } finally {
      if (!(result instanceof Promise)) call.finish();
    }
    return result instanceof Promise ? result.finally(() => call.finish()) : undefined;
  }

  /** In the kernel, interrupts have stacks of their own while the thread stays the same. */
  #identify(space: HookedSpace, cpu: Cpu, pgd: bigint, stackPointer: bigint): bigint {
    return space.pgd === 0n ? this.#identifyStack(stackPointer) : this.threads.readKey(cpu, pgd);
  }

  #identifyStack(stackPointer: bigint): bigint {
    return KERNEL_MARK | (stackPointer >> KERNEL_STACK_BITS[this.threads.places?.bits ?? 64]);
  }
}

/** The bit of a code segment's flags that says that its code is of 64 bits (Intel SDM volume 3, 3.4.5). */
const LONG_CODE = 1n << 21n;

/** Takes steps one behind the other, all of them, also when one fails. @throws the error of the first that failed */
function runAll(steps: readonly (() => Outcome)[]): Outcome {
  if (steps.length === 0) return;
  if (steps.length === 1) return steps[0]!();
  const errors: unknown[] = [];
  for (let index = 0; index < steps.length; index++) {
    try {
      const result = steps[index]!();
      if (result instanceof Promise) return finishAll(result, steps.slice(index + 1), errors);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

async function finishAll(begun: Promise<void>, steps: readonly (() => Outcome)[], errors: unknown[]): Promise<void> {
  await begun.catch((error: unknown) => errors.push(error));
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
