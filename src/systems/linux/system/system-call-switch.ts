import { Code, Decoder, DecoderOptions, FlowControl, type Instruction, Mnemonic, OpKind } from "iced-x86";
import type { LinuxKernel } from "../structs/linux-kernel";

/** Comparing goes down a tree: a kernel has 500 system calls. */
const MOST_STEPS = 200;
const LARGEST_FUNCTION = 0x10000;

/**
 * Reads a function that calls one of many by a number, as x64_sys_call(regs, number) does since 6.9 (arch/x86/entry/
 * syscall_64.c) in place of a table: the compiler makes a tree of comparisons of it.
 */
export class SystemCallSwitch {
  readonly #decoder: Decoder;
  readonly #start: bigint;
  /** By offset. */
  readonly #steps = new Map<number, Step>();

  private constructor(bits: 32 | 64, start: bigint, code: Buffer) {
    this.#start = start;
    this.#decoder = new Decoder(bits, code, DecoderOptions.None);
  }

  /** Opens the function of this name; undefined when the kernel has none. */
  static find(kernel: LinuxKernel, name: string): SystemCallSwitch | undefined {
    const start = kernel.findSymbol(name);
    const size = start === undefined ? 0 : (kernel.symbols.findSymbol(start)?.size ?? 0);
    if (start === undefined || size === 0 || size > LARGEST_FUNCTION) return undefined;
    return new SystemCallSwitch(kernel.bits, start, kernel.memory.read(start, size));
  }

  /** Frees the decoder's memory, which no collector sees. */
  close(): void {
    this.#decoder.free();
  }

  /** Finds the function that is called for a number; undefined when the code is of another kind than a tree of comparisons. */
  findTarget(number: number): bigint | undefined {
    let compared = 0;
    let at: number | undefined = 0;
    for (let step = 0; step < MOST_STEPS && at !== undefined; step++) {
      const { kind, immediate, condition, target, next } = this.#decode(at);
      if (kind === "other") return undefined;
      at = next;
      if (kind === "compare") compared = immediate;
      if (kind !== "branch") continue;
      const isTaken = decide(condition, number, compared);
      if (isTaken === undefined) return undefined;
      if (!isTaken) continue;
      at = this.#offsetOf(target);
      if (at === undefined) return target;
    }
    return undefined;
  }

  /** Each instruction is decoded once: the way to every number begins with the same ones. */
  #decode(at: number): Step {
    const known = this.#steps.get(at);
    if (known) return known;
    const decoder = this.#decoder;
    decoder.position = at;
    decoder.ip = this.#start + BigInt(at);
    const instruction = decoder.decode();
    try {
      const step = describe(instruction, decoder.canDecode ? decoder.position : undefined);
      this.#steps.set(at, step);
      return step;
    } finally {
      instruction.free();
    }
  }

  /** Undefined for an address outside of the function. */
  #offsetOf(address: bigint): number | undefined {
    const offset = Number(address - this.#start);
    return offset >= 0 && offset < this.#decoder.maxPosition ? offset : undefined;
  }
}

/** The meaning of an instruction for the way through the tree. A call is a branch that does not come back. */
interface Step {
  readonly kind: "compare" | "branch" | "nothing" | "other";
  readonly immediate: number;
  /** Undefined for a branch that is always taken. */
  readonly condition: Mnemonic | undefined;
  readonly target: bigint;
  /** The offset of the instruction behind it. */
  readonly next: number | undefined;
}

function describe(instruction: Instruction, next: number | undefined): Step {
  const step = { kind: "nothing", immediate: 0, condition: undefined, target: 0n, next } as const;
  if (instruction.code === Code.INVALID) return { ...step, kind: "other" };
  if (instruction.mnemonic === Mnemonic.Cmp) {
    if (!isImmediate(instruction)) return { ...step, kind: "other" };
    return { ...step, kind: "compare", immediate: Number(BigInt.asIntN(32, instruction.immediate(1))) };
  }
  switch (instruction.flowControl) {
    case FlowControl.Next:
      return step;
    case FlowControl.Call:
    case FlowControl.UnconditionalBranch:
      return { ...step, kind: "branch", target: instruction.nearBranchTarget };
    case FlowControl.ConditionalBranch:
      return { ...step, kind: "branch", target: instruction.nearBranchTarget, condition: instruction.mnemonic };
    default:
      return { ...step, kind: "other" };
  }
}

/** Whether it compares a register with a number: there is nothing else to compare than the parameter. */
function isImmediate(instruction: Instruction): boolean {
  if (instruction.op0Kind !== OpKind.Register) return false;
  return [
    OpKind.Immediate8,
    OpKind.Immediate8to32,
    OpKind.Immediate8to64,
    OpKind.Immediate32,
    OpKind.Immediate32to64,
  ].includes(instruction.op1Kind);
}

/** Whether a branch is taken after a comparison; undefined for one that asks for something else. */
function decide(condition: Mnemonic | undefined, number: number, compared: number): boolean | undefined {
  switch (condition) {
    case undefined:
      return true;
    case Mnemonic.Je:
      return number === compared;
    case Mnemonic.Jne:
      return number !== compared;
    case Mnemonic.Ja:
    case Mnemonic.Jg:
      return number > compared;
    case Mnemonic.Jae:
    case Mnemonic.Jge:
      return number >= compared;
    case Mnemonic.Jb:
    case Mnemonic.Jl:
      return number < compared;
    case Mnemonic.Jbe:
    case Mnemonic.Jle:
      return number <= compared;
    default:
      return undefined;
  }
}
