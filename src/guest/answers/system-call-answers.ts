import { HookError } from "../errors";
import type { FunctionCall } from "../hooking/function-call";
import type { FunctionHook } from "../hooking/function-hook";
import type { FunctionHookOptions } from "../hooking/hook-options";
import type { FunctionDescription, FunctionHandlers } from "../hooking/hooked-function";

/** The offsets of a call's parameters in the kernel's struct pt_regs (arch/x86/include/asm/ptrace.h). */
const WIDE = [112, 104, 96, 56, 72, 64];
/** The same for a call of 32 bits that a kernel of 64 bits has taken: EBX, ECX, EDX, ESI, EDI, EBP. */
const NARROW = [40, 88, 96, 104, 112, 32];
/** The same in a kernel of 32 bits. */
const NARROW_KERNEL = [0, 4, 8, 12, 16, 20];
/** The kernel's functions for a call, which take its struct pt_regs (arch/x86/include/asm/syscall_wrapper.h). */
const WRAPPER = /^__(x64|ia32|ia32_compat)_sys_(\w+)$/;
const LONGEST_TEXT = 4096;

/** A system call that a process makes. */
export interface AnsweredCall {
  /** As in listSystemCalls(). */
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly pgd: bigint;
  /** The width of addresses in the program that calls. */
  readonly bits: 32 | 64;
  readonly cpuIndex: number;
  /** Six words, of which those beyond the call's parameters mean nothing. */
  readonly args: readonly bigint[];
  /** Reads text of the process, up to 4096 bytes; undefined when it is not in memory. */
  findText(address: bigint): string | undefined;
  /** Reads bytes of the process; undefined when one of them is not in memory. */
  findBytes(address: bigint, size: number): Uint8Array | undefined;
  /** Writes bytes into the process. @throws MemoryError when that memory is not there */
  write(address: bigint, bytes: Uint8Array): void;
}

/** A result for the program: what the call returns, a negative errno for an error; undefined leaves the kernel's own. */
export type SystemCallAnswer = number | bigint | undefined;

/** Answers system calls, before the kernel has seen them or after it has carried them out. */
export interface SystemCallAnswers {
  /** Called before. With an answer the kernel does not carry the call out. */
  before?(call: AnsweredCall): SystemCallAnswer | Promise<SystemCallAnswer>;
  /** Called with the kernel's result, when its outcome is in the memory of the process. */
  after?(call: AnsweredCall, result: bigint): SystemCallAnswer | Promise<SystemCallAnswer>;
}

/** Which processes get the answers. */
export type AnswerOptions = Pick<FunctionHookOptions, "process">;

/** Sets hooks on functions, as hookFunction() does. */
export type HookFunction = (
  module: string,
  name: string,
  handlers: FunctionHandlers,
  options: FunctionHookOptions,
) => FunctionHook;

/** What the answers need of a guest. */
export interface AnswerAccess {
  /** Writes into an address space. */
  readonly write: (pgd: bigint, address: bigint, bytes: Uint8Array) => void;
  readonly isSystemKnown: () => boolean;
}

/**
 * Answers a system call in place of the kernel, or changes its result.
 *
 * @param name of the call, as listSystemCalls() gives it
 * @param answers a function that is asked before, or functions before and after
 * @param hook sets hooks
 * @returns the hook, which can be removed
 * @throws HookError when the answers are no functions; when the kernel is known and has no such call
 */
export function hookSystemCall(
  name: string,
  answers: SystemCallAnswers | NonNullable<SystemCallAnswers["before"]>,
  options: AnswerOptions,
  hook: HookFunction,
  { write, isSystemKnown }: AnswerAccess,
): FunctionHook {
  const { before, after } = typeof answers === "function" ? { before: answers, after: undefined } : answers;
  if (typeof name !== "string" || !/^\w+$/.test(name)) {
    throw new HookError(
      `answerSystemCall(${JSON.stringify(name)}): the name of a system call is text, such as "openat"`,
    );
  }
  if (typeof before !== "function" && typeof after !== "function") {
    throw new HookError(
      `answerSystemCall("${name}"): neither a function nor an object with before() or after() is given`,
    );
  }
  const handlers: FunctionHandlers = {
    onEnter: (inner) => {
      const call = describeCall(inner, name, write);
      inner.data = call;
      return before && settle(before(call), (answer) => inner.returnNow(answer));
    },
    ...(after && {
      onLeave: (inner) => {
        if (inner.abandoned !== undefined || inner.data === undefined) return undefined;
        const call = { ...(inner.data as AnsweredCall), cpuIndex: inner.cpuIndex };
        return settle(after(call, inner.result as bigint), (answer) => inner.setResult(answer));
      },
    }),
  };
  const describe = (found: string): FunctionDescription | undefined =>
    WRAPPER.exec(found)?.[2] === name ? { parameters: ["pointer"], returns: "long" } : undefined;
  const answered = hook("kernel", `__*_sys_${name}`, handlers, { ...options, describe });
  if (answered.isPending && isSystemKnown()) {
    answered.remove();
    throw new HookError(
      `answerSystemCall("${name}"): this kernel has no such system call; listSystemCalls() has their names`,
    );
  }
  return answered;
}

/** Gives an answer, when there is one; a promise is waited for, and the guest with it. */
function settle(
  answer: SystemCallAnswer | Promise<SystemCallAnswer>,
  give: (answer: number | bigint) => void,
): void | Promise<void> {
  if (answer instanceof Promise) return answer.then((one) => (one === undefined ? undefined : give(one)));
  if (answer !== undefined) give(answer);
}

function describeCall(inner: FunctionCall, name: string, write: AnswerAccess["write"]): AnsweredCall {
  const [registers = 0n] = inner.rawArgs;
  const isWideKernel = inner.bits === 64;
  const isWide = inner.name.startsWith("__x64");
  const offsets = isWide ? WIDE : isWideKernel ? NARROW : NARROW_KERNEL;
  const size = isWideKernel ? 8 : 4;
  const bytes = inner.findBytes(registers, Math.max(...offsets) + size);
  const view = bytes && new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = (at: number): bigint => {
    if (view === undefined) return 0n;
    return isWide ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));
  };
  const { pid, tid, pgd, cpuIndex } = inner;
  return {
    ...{ name, pid, tid, pgd, cpuIndex, bits: isWide ? 64 : 32, args: offsets.map(read) },
    findText: (address) => inner.findText(address, LONGEST_TEXT),
    findBytes: (address, count) => inner.findBytes(address, count),
    write: (address, given) => write(pgd, address, given),
  };
}
