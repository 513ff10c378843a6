import { Code, Decoder, DecoderOptions, FlowControl, type Instruction, Mnemonic, OpKind } from "iced-x86";
import type { LinuxKernel } from "./linux-kernel";

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
    const decoder = this.#decoder;
    let compared = 0;
    decoder.ip = this.#start;
    decoder.position = 0;
    for (let step = 0; step < MOST_STEPS && decoder.canDecode; step++) {
      const instruction = decoder.decode();
      try {
        const flow = instruction.flowControl;
        if (instruction.mnemonic === Mnemonic.Cmp) {
          if (!isImmediate(instruction)) return undefined;
          compared = Number(BigInt.asIntN(32, instruction.immediate(1)));
        } else if (flow === FlowControl.Call) {
          return instruction.nearBranchTarget;
        } else if (flow === FlowControl.UnconditionalBranch || flow === FlowControl.ConditionalBranch) {
          const isTaken = flow === FlowControl.UnconditionalBranch || decide(instruction, number, compared);
          if (isTaken === undefined) return undefined;
          if (isTaken && !this.#enter(instruction.nearBranchTarget)) return instruction.nearBranchTarget;
        } else if (flow !== FlowControl.Next || instruction.code === Code.INVALID) {
          return undefined;
        }
      } finally {
        instruction.free();
      }
    }
    return undefined;
  }

  /** Goes on at an address; false when it is outside of the function. */
  #enter(address: bigint): boolean {
    const offset = Number(address - this.#start);
    if (!(offset >= 0 && offset < this.#decoder.maxPosition)) return false;
    this.#decoder.position = offset;
    this.#decoder.ip = address;
    return true;
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
function decide(instruction: Instruction, number: number, compared: number): boolean | undefined {
  switch (instruction.mnemonic) {
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
