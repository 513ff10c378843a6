import {
  Decoder,
  DecoderError,
  DecoderOptions,
  FlowControl,
  Formatter,
  FormatterSyntax,
  type Instruction,
} from "iced-x86";

/** One instruction of the guest. */
export interface DecodedInstruction {
  readonly address: bigint;
  /** In bytes. */
  readonly size: number;
  readonly bytes: Buffer;
  /** In Intel's syntax; "(bad)" for what is no instruction. */
  readonly text: string;
  /** The target of a direct branch or call, or the address of an operand relative to the program counter. */
  readonly target: bigint | undefined;
  readonly isCall: boolean;
  readonly isReturn: boolean;
}

let formatter: Formatter | undefined;

function getFormatter(): Formatter {
  if (formatter) return formatter;
  formatter = new Formatter(FormatterSyntax.Intel);
  formatter.hexPrefix = "0x";
  formatter.hexSuffix = "";
  formatter.uppercaseHex = false;
  formatter.firstOperandCharIndex = 8;
  formatter.spaceAfterOperandSeparator = true;
  formatter.branchLeadingZeros = false;
  formatter.addLeadingZeroToHexNumbers = false;
  return formatter;
}

/** Decodes instructions, as many as the bytes hold whole; the longest has 15 bytes (Intel SDM volume 2, 2.3.11). */
export class Disassembler {
  /** @param bits of the code */
  constructor(private readonly bits: 16 | 32 | 64) {}

  /**
   * @param bytes where the code is
   * @param address of the first byte
   * @param most how many instructions
   */
  *decode(bytes: Buffer, address: bigint, most: number): Iterable<DecodedInstruction> {
    const decoder = new Decoder(this.bits, bytes, DecoderOptions.None);
    try {
      decoder.ip = address;
      for (let count = 0; count < most && decoder.canDecode; count++) {
        const start = decoder.position;
        const instruction = decoder.decode();
        try {
          if (decoder.lastError === DecoderError.NoMoreBytes) return;
          yield describe(instruction, Buffer.from(bytes.subarray(start, decoder.position)));
        } finally {
          instruction.free();
        }
      }
    } finally {
      decoder.free();
    }
  }
}

function describe(instruction: Instruction, bytes: Buffer): DecodedInstruction {
  const flow = instruction.flowControl;
  return {
    address: instruction.ip,
    size: bytes.length,
    bytes,
    text: getFormatter().format(instruction),
    target: findTarget(instruction, flow),
    isCall: flow === FlowControl.Call || flow === FlowControl.IndirectCall,
    isReturn: flow === FlowControl.Return,
  };
}

function findTarget(instruction: Instruction, flow: FlowControl): bigint | undefined {
  if (instruction.isIpRelMemoryOperand) return instruction.ipRelMemoryAddress;
  const isDirect = [FlowControl.UnconditionalBranch, FlowControl.ConditionalBranch, FlowControl.Call].includes(flow);
  return isDirect && instruction.nearBranchTarget !== 0n ? instruction.nearBranchTarget : undefined;
}
