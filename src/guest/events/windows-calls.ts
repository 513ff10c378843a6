import type { Cpu } from "../../machine/state/cpu";
import { AddressError } from "../../systems/errors";
import type { WindowsKernel } from "../../systems/windows/kernel/windows-kernel";
import type { KernelHooks } from "./kernel-hooks";

/** More calls than threads can make at once are none: what was remembered of calls that never returned is forgotten. */
const MOST_CALLS = 1 << 16;

/**
 * Reads an argument of the function of the kernel that a vCPU is about to execute: of x64 in RCX, RDX, R8 and R9
 * (https://learn.microsoft.com/cpp/build/x64-calling-convention), of 32 bits on the stack (stdcall).
 *
 * @param index from 0
 * @returns 0n where it cannot be read
 */
export function readWindowsArgument({ bits, memory }: WindowsKernel, cpu: Cpu, index: 0 | 1 | 2 | 3): bigint {
  if (bits === 64) return [cpu.RCX, cpu.RDX, cpu.R8, cpu.R9][index] as bigint;
  const bytes = memory.readSome(cpu.ESP + BigInt(4 + index * 4), 4);
  return bytes.length === 4 ? BigInt(bytes.readUInt32LE(0)) : 0n;
}

/**
 * Hooks on returns from functions: where a function will return to is on the stack when it is entered. A call is told by its place
 * on the stack, which no other has at the same time.
 */
export class ReturnHooks {
  readonly #kernel: WindowsKernel;
  readonly #hooks: KernelHooks;
  readonly #hooked = new Set<bigint>();
  /** By the value of the stack pointer behind the return. */
  readonly #calls = new Map<bigint, () => void>();

  constructor(kernel: WindowsKernel, hooks: KernelHooks) {
    this.#kernel = kernel;
    this.#hooks = hooks;
  }

  /**
   * Calls a function when the function of the kernel that is entered now returns.
   *
   * @throws AddressError when the stack cannot be read
   */
  add(cpu: Cpu, onReturn: () => void): void {
    const { memory, bits } = this.#kernel;
    const stack = bits === 64 ? cpu.RSP : cpu.ESP;
    const target = memory.pointer(stack);
    if (!memory.readSome(target, 1).length) throw new AddressError(target, "virtual");
    if (this.#calls.size >= MOST_CALLS) this.#calls.clear();
    this.#calls.set(stack, onReturn);
    if (this.#hooked.has(target)) return;
    this.#hooked.add(target);
    this.#hooks.addAt(target, `return to 0x${target.toString(16)}`, (at) => this.#onReturn(at));
  }

  /** Forgets all calls; the hooks are removed with the others. */
  clear(): void {
    this.#hooked.clear();
    this.#calls.clear();
  }

  /** On 32 bits the function has taken its arguments off the stack: at most as many as 16. */
  #onReturn(cpu: Cpu): void {
    const isWide = this.#kernel.bits === 64;
    const word = isWide ? 8n : 4n;
    const above = (isWide ? cpu.RSP : cpu.ESP) - word;
    for (let count = 0n; count <= (isWide ? 0n : 16n); count++) {
      const stack = above - count * word;
      const onReturn = this.#calls.get(stack);
      if (!onReturn) continue;
      this.#calls.delete(stack);
      onReturn();
      return;
    }
  }
}
