import { PeError } from "../../errors";
import type { VirtualMemory } from "../../memory/virtual-memory";
import { PeImage } from "../images/pe-image";
import { peSourceOfMemory } from "../images/pe-source";
import type { PeUnwindTable, UnwindFunction } from "../images/pe-unwind";
import { undoEpilog } from "./epilog";

/** The number of the stack pointer among the registers. */
export const RSP = 4;
const MOST_CHAINED = 32;

/** The registers of one function that is being executed. */
export interface UnwindContext {
  readonly ip: bigint;
  /** The sixteen general registers, as the processor numbers them. */
  readonly registers: readonly bigint[];
  /** Whether ip is where execution stands, not a return address. */
  readonly isExact: boolean;
}

/**
 * Goes from a function of 64-bit Windows to its caller by the unwind data of the images, as RtlVirtualUnwind does
 * (docs.microsoft.com: x64 exception handling).
 */
export class X64Unwinder {
  readonly #images = new Map<bigint, PeUnwindTable | undefined>();

  /**
   * @param memory the kernel's, or that of the process whose code is executed
   * @param findBase finds the base of the image that an address is in
   */
  constructor(
    private readonly memory: VirtualMemory,
    private readonly findBase: (address: bigint) => bigint | undefined,
  ) {}

  /**
   * Finds the caller of a function.
   *
   * @returns undefined where it ends: at code that no image has, at a function that unwind data does not know, unless it is the
   *   innermost, and at a return address of 0
   * @throws AddressError when the stack cannot be read
   */
  step(at: UnwindContext): UnwindContext | undefined {
    const base = this.findBase(at.ip);
    const table = base === undefined ? undefined : this.#findTable(base);
    if (base === undefined || !table) return undefined;
    const rva = Number(at.ip - base);
    // A return address may lie behind the function, when the call was its last instruction.
    const found = table.findFunction(at.isExact ? rva : rva - 1);
    // Functions that call nothing and use no stack have no unwind data.
    if (!found) return at.isExact ? this.#leave([...at.registers]) : undefined;
    try {
      return this.#leaveFunction(at, base, table, found);
    } catch (error) {
      if (error instanceof PeError) return undefined;
      throw error;
    }
  }

  #findTable(base: bigint): PeUnwindTable | undefined {
    if (!this.#images.has(base)) this.#images.set(base, this.#readTable(base));
    return this.#images.get(base);
  }

  #readTable(base: bigint): PeUnwindTable | undefined {
    try {
      return new PeImage(peSourceOfMemory(this.memory, base)).unwindTable;
    } catch (error) {
      if (error instanceof PeError) return undefined;
      throw error;
    }
  }

  #leaveFunction(
    at: UnwindContext,
    base: bigint,
    table: PeUnwindTable,
    found: UnwindFunction,
  ): UnwindContext | undefined {
    const registers = [...at.registers];
    const offset = Number(at.ip - base) - found.start;
    const first = table.readInformation(found);
    if (at.isExact && offset >= first.prologSize) {
      const range = { start: base + BigInt(found.start), end: base + BigInt(found.end) };
      const undone = undoEpilog(this.memory, at.ip, range, first.frameRegister, registers);
      if (undone) return this.#leave(undone);
    }
    for (let information = first, count = 0; ; count++) {
      // Of the prolog only what is done already is undone; in the parts of a split function all of it.
      const done = information === first && offset < first.prologSize ? offset : Infinity;
      const machineFrame = this.#undoProlog(information, done, registers);
      if (machineFrame) return machineFrame;
      if (!information.chained || count === MOST_CHAINED) return this.#leave(registers);
      information = table.readInformation(information.chained);
    }
  }

  /** Undoes the steps of a prolog. Where the processor itself has pushed a frame, that has the caller's registers. */
  #undoProlog(
    { codes, frameRegister, frameOffset }: ReturnType<PeUnwindTable["readInformation"]>,
    done: number,
    registers: bigint[],
  ): UnwindContext | undefined {
    const isFrameSet = codes.some(({ step, codeOffset }) => step === "set frame register" && codeOffset <= done);
    const frame =
      frameRegister !== undefined && isFrameSet
        ? (registers[frameRegister] as bigint) - BigInt(frameOffset)
        : (registers[RSP] as bigint);
    for (const { step, codeOffset, register, bytes } of codes) {
      if (codeOffset > done) continue;
      const sp = registers[RSP] as bigint;
      if (step === "push register") {
        registers[register] = this.memory.u64(sp);
        registers[RSP] = sp + 8n;
      } else if (step === "allocate") registers[RSP] = sp + BigInt(bytes);
      else if (step === "set frame register") registers[RSP] = frame;
      else if (step === "save register") registers[register] = this.memory.u64(frame + BigInt(bytes));
      else if (step === "machine frame") {
        const pushed = register === 1 ? sp + 8n : sp;
        registers[RSP] = this.memory.u64(pushed + 24n);
        return { ip: this.memory.u64(pushed), registers, isExact: true };
      } else if (step === "unknown") throw new PeError("the unwind data has a code that is not known");
    }
    return undefined;
  }

  #leave(registers: bigint[]): UnwindContext | undefined {
    const sp = registers[RSP] as bigint;
    const ip = this.memory.u64(sp);
    registers[RSP] = sp + 8n;
    return ip === 0n ? undefined : { ip, registers, isExact: false };
  }
}
