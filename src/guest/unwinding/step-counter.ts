import type { Cpu } from "../../machine/state/cpu";
import { MemoryError } from "../../machine/errors";
import { readVa } from "../../machine/state/memory";
import { getRunningProcess } from "../../machine/state/processes";

const WORD = 8;
/** The words that the processor pushes in 64-bit mode: ip, cs, flags, sp, ss (Intel SDM volume 3, 6.14.2). */
const FRAME_WORDS = 5;
const LONGEST_INSTRUCTION = 15n;

/**
 * The instructions after which an interrupt or fault is taken to return elsewhere: the kernel repairs a fault of its own by going on at
 * another address (its exception table), a program goes on in the handler of a signal, and one that ends never returns.
 */
const LONGEST_ABSENCE = 2_000_000;

/** The address of the instruction that is stepped over. */
interface Origin {
  readonly ip: bigint;
  readonly sp: bigint;
  readonly cs: bigint;
}

/**
 * Counts the instructions of a vCPU that begin, without those of interrupts and faults in between: a guest that has stood
 * still has an interrupt waiting nearly always. In 64-bit mode only; in others every instruction counts.
 */
export class StepCounter {
  #origin: Origin;
  /** The instruction at which the guest is paused may begin once more when it continues. */
  #isBegun = false;
  /** The address that the interrupt which is passed over returns to. */
  #back: { readonly ip: bigint; readonly sp: bigint } | undefined;
  /** The instructions that have begun since it is awaited. */
  #absence = 0;

  /** @param left how many instructions are to begin behind the present one */
  constructor(
    private readonly cpu: Cpu,
    private readonly bits: 16 | 32 | 64,
    private left: bigint,
  ) {
    this.#origin = originOf(cpu);
  }

  /** Notes that an instruction begins. @returns whether it is the wanted one */
  begin(): boolean {
    const { RIP, RSP } = this.cpu;
    if (this.#back) {
      const isBack = RIP === this.#back.ip && RSP === this.#back.sp;
      if (!isBack && ++this.#absence < LONGEST_ABSENCE) return false;
      this.#back = undefined;
      this.#absence = 0;
      // Back before the instruction was executed, it begins now.
      if (RIP === this.#origin.ip && RSP === this.#origin.sp) {
        this.#isBegun = true;
        return false;
      }
    } else if (!this.#isBegun && RIP === this.#origin.ip) {
      this.#isBegun = true;
      return false;
    } else {
      this.#back = this.#findInterrupted();
      if (this.#back) return false;
    }
    this.#origin = originOf(this.cpu);
    this.#isBegun = true;
    this.left--;
    return this.left <= 0n;
  }

  /** Finds the address that an interrupt or fault which has just begun will return to: it has pushed it, maybe below an error code. */
  #findInterrupted(): { ip: bigint; sp: bigint } | undefined {
    if (this.bits !== 64 || this.cpu.CPL !== 0n) return undefined;
    const { ip, cs, sp } = this.#origin;
    const words = readWords(this.cpu, FRAME_WORDS + 1);
    for (const at of [0, 1]) {
      const [savedIp, savedCs, , savedSp] = words.slice(at) as [bigint?, bigint?, bigint?, bigint?];
      if (savedIp === undefined || savedCs !== cs || savedSp === undefined) continue;
      const isBefore = savedIp === ip && savedSp === sp;
      const isBehind = savedIp > ip && savedIp <= ip + LONGEST_INSTRUCTION;
      if (isBefore || isBehind) return { ip: savedIp, sp: savedSp };
    }
    return undefined;
  }
}

function originOf({ RIP, RSP, CS }: Cpu): Origin {
  return { ip: RIP, sp: RSP, cs: CS };
}

function readWords(cpu: Cpu, count: number): bigint[] {
  try {
    const bytes = readVa(getRunningProcess(cpu.index), cpu.RSP, count * WORD);
    return Array.from({ length: count }, (_, index) => bytes.readBigUInt64LE(index * WORD));
  } catch (error) {
    if (error instanceof MemoryError) return [];
    throw error;
  }
}
