import { AddressError, KernelDataError } from "../../systems/errors";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { VirtualMemory } from "../../systems/memory/virtual-memory";
import { OrcUnwinder } from "./orc-unwinder";
import type { FrameMethod, FrameRegisters, StackFrame } from "./stack-frame";

const MOST_FRAMES = 64;
/** The part of the stack that is searched for possible return addresses, in bytes: THREAD_SIZE without KASAN. */
const STACK_SIZE = 0x4000n;
const KERNEL_HALF = 1n << 63n;

/** The memory that a stack is read from: undefined where nothing can be read. */
export interface StackMemory {
  readonly pointerSize: 4 | 8;
  findPointer(address: bigint): bigint | undefined;
}

/**
 * Follows frame pointers, which needs no knowledge of the system: many programs do not keep them.
 *
 * @param start the registers to begin with
 * @param isCaller refuses return addresses that cannot be any
 * @returns the callers, the nearest first
 */
export function* followFramePointers(
  memory: StackMemory,
  start: Pick<FrameRegisters, "bp">,
  isCaller: (address: bigint) => boolean,
): Generator<StackFrame> {
  const word = BigInt(memory.pointerSize);
  for (let { bp } = start, count = 0; bp !== 0n && bp % word === 0n && count < MOST_FRAMES; count++) {
    const address = memory.findPointer(bp + word);
    const next = memory.findPointer(bp);
    if (address === undefined || next === undefined || address === 0n || !isCaller(address)) return;
    yield { address, stackPointer: bp + 2n * word, method: "frame pointer" };
    // Callers lie above.
    if (next <= bp) return;
    bp = next;
  }
}

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
    const memory: StackMemory = {
      pointerSize: this.user.pointerSize,
      findPointer: (address) => readPointer(this.user, address),
    };
    for (const frame of followFramePointers(memory, start, (address) => !this.#isKernel(address))) {
      if (this.frames.length >= MOST_FRAMES) return;
      this.frames.push(frame);
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
