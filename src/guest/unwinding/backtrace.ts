import { AddressError, KernelDataError } from "../../systems/errors";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { VirtualMemory } from "../../systems/memory/virtual-memory";
import { OrcUnwinder } from "./orc-unwinder";
import type { FrameMethod, FrameRegisters, StackFrame } from "./stack-frame";

const MOST_FRAMES = 64;
/** The part of the stack that is searched for possible return addresses, in bytes: THREAD_SIZE without KASAN. */
const STACK_SIZE = 0x4000n;
const KERNEL_HALF = 1n << 63n;

/** A backtrace in the making. */
export class Backtrace {
  readonly frames: StackFrame[] = [];

  /**
   * @param guest its kernel
   * @param user the address space of the process, where user mode was left
   */
  constructor(
    private readonly guest: LinuxGuest,
    private readonly user: VirtualMemory,
  ) {}

  /**
   * Follows the callers from here on: in the kernel by ORC where it has it, and by guessing where that ends early; in user
   * mode by frame pointers, which many programs do not keep.
   */
  unwind(start: FrameRegisters, method: FrameMethod): readonly StackFrame[] {
    if (this.#isKernel(start.ip)) this.#unwindKernel(start, method);
    else this.#unwindUser(start, method);
    return this.frames;
  }

  #isKernel(address: bigint): boolean {
    const { bits, directMap } = this.guest.kernel;
    return address >= (bits === 64 ? KERNEL_HALF : directMap.start);
  }

  #add(registers: FrameRegisters, method: FrameMethod): boolean {
    if (this.frames.length >= MOST_FRAMES) return false;
    this.frames.push({ address: registers.ip, stackPointer: registers.sp, method });
    return true;
  }

  #unwindKernel(start: FrameRegisters, method: FrameMethod): void {
    const orc = OrcUnwinder.find(this.guest.kernel);
    this.#add(start, method);
    let at = start;
    for (;;) {
      const next = step(orc, at);
      if (!next) break;
      if (next.isUser) return this.#unwindUser(next.registers, "orc");
      const { ip, sp } = next.registers;
      // A stack that goes back, or to where no code of the kernel is, is not one.
      if (!this.#isKernel(ip) || (sp <= at.sp && !at.isExact) || !this.#add(next.registers, "orc")) break;
      at = next.registers;
    }
    // At least one caller was found by the tables: their end is the stack's end.
    if (this.frames.length <= 1) this.#guess(at);
  }

  /** Lists what could be return addresses on the stack. */
  #guess({ sp }: FrameRegisters): void {
    const { kernel, symbols } = this.guest;
    const word = BigInt(kernel.memory.pointerSize);
    const end = (sp | (STACK_SIZE - 1n)) + 1n;
    for (let at = sp - (sp % word); at < end; at += word) {
      const value = readPointer(kernel.memory, at);
      if (value === undefined) return;
      if (!this.#isKernel(value) || !/^t$/i.test(symbols.findSymbol(0n, value)?.type ?? "")) continue;
      if (!this.#add({ ip: value, sp: at + word, bp: 0n, isExact: false }, "heuristic")) return;
    }
  }

  #unwindUser(start: FrameRegisters, method: FrameMethod): void {
    this.#add(start, method);
    const word = BigInt(this.user.pointerSize);
    let { bp } = start;
    while (bp !== 0n && bp % word === 0n) {
      const caller = readPointer(this.user, bp + word);
      const next = readPointer(this.user, bp);
      if (caller === undefined || next === undefined || caller === 0n || this.#isKernel(caller)) return;
      if (!this.#add({ ip: caller, sp: bp + 2n * word, bp: next, isExact: false }, "frame pointer")) return;
      // Callers lie above.
      if (next <= bp) return;
      bp = next;
    }
  }
}

function step(orc: OrcUnwinder | undefined, at: FrameRegisters) {
  try {
    return orc?.step(at);
  } catch (error) {
    if (error instanceof AddressError || error instanceof KernelDataError) return undefined;
    throw error;
  }
}

function readPointer(memory: VirtualMemory, address: bigint): bigint | undefined {
  try {
    return memory.pointer(address);
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}
