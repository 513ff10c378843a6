import { AddressError, KernelDataError } from "../../systems/errors";
import type { LinuxGuest } from "../../systems/linux/linux-guest";
import type { VirtualMemory } from "../../systems/memory/virtual-memory";
import { OrcUnwinder } from "./orc-unwinder";
import type { FrameMethod, FrameRegisters, StackFrame } from "./stack-frame";
import { followUser, type UserRegisterValues, type UserStack } from "./user-backtrace";

const MOST_FRAMES = 64;
/** The part of the stack that is searched for possible return addresses, in bytes: THREAD_SIZE without KASAN. */
const STACK_SIZE = 0x4000n;
const KERNEL_HALF = 1n << 63n;

/** A backtrace in the making. */
export class Backtrace {
  readonly frames: StackFrame[] = [];

  /**
   * @param guest its kernel
   * @param pgd of the process, where user mode was left; 0 for a kernel thread
   * @param readUser reads all registers that the thread has in its program; undefined when they are not known
   */
  constructor(
    private readonly guest: LinuxGuest,
    private readonly pgd: bigint,
    private readonly readUser: () => UserRegisterValues | undefined,
  ) {}

  /**
   * Follows the callers from here on: in the kernel by ORC where it has it, and by guessing where that ends early; in user
   * mode by the unwind data of programs and libraries, and by frame pointers where there is none.
   */
  unwind(start: FrameRegisters, method: FrameMethod): readonly StackFrame[] {
    if (this.#isKernel(start.ip)) this.#unwindKernel(start, method);
    else this.#unwindUser(start, method);
    return this.frames;
  }

  #isKernel(address: bigint): boolean {
    return isOfKernel(this.guest, address);
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
    if (this.pgd === 0n) return;
    const all = this.readUser();
    // What the kernel has saved may be of another moment than what led here.
    const isOfPlace = all?.RIP === start.ip && all.RSP === start.sp;
    const stack = createUserStack(this.guest, this.pgd, this.guest.symbols.openUnwindData(this.pgd));
    for (const frame of followUser({ ...start, all: isOfPlace ? all : undefined }, stack)) {
      if (this.frames.length >= MOST_FRAMES) return;
      this.frames.push(frame);
    }
  }
}

/** Creates what a program's stack is followed by. @param findTable finds the unwind data of its modules */
export function createUserStack(guest: LinuxGuest, pgd: bigint, findTable: UserStack["findTable"]): UserStack {
  const space = guest.kernel.space(pgd);
  return {
    ...{ bits: guest.kernel.bits, findTable, findWord: (address, size) => findWord(space, address, size) },
    isUser: (address) => !isOfKernel(guest, address),
  };
}

function isOfKernel({ kernel: { bits, directMap } }: LinuxGuest, address: bigint): boolean {
  return address >= (bits === 64 ? KERNEL_HALF : directMap.start);
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

function findWord(memory: VirtualMemory, address: bigint, size: number): bigint | undefined {
  const bytes = memory.readSome(address, size);
  if (bytes.length < size) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  if (size === 8) return view.getBigUint64(0, true);
  return BigInt(size === 4 ? view.getUint32(0, true) : size === 2 ? view.getUint16(0, true) : view.getUint8(0));
}
