import { ElfError } from "../../systems/errors";
import { DwarfReader } from "../../systems/symbols/elf/dwarf-reader";

const MOST_STEPS = 10_000;
const MOST_VALUES = 64;

/** Everything that an expression may ask for. */
export interface ExpressionContext {
  readonly bits: 32 | 64;
  /** Reads a register by its number in DWARF. @throws ElfError when it is not known */
  readRegister(register: number): bigint;
  /** Reads memory. @param size 1, 2, 4 or 8 bytes @throws ElfError when it cannot be read */
  readMemory(address: bigint, size: number): bigint;
}

type Binary = (one: bigint, other: bigint) => bigint;

/** Those with two operands, the upper one second (DWARF 5, 2.5.1.4 and 2.5.1.5). */
function binaryOf(code: number, bits: number): Binary | undefined {
  const signed = (value: bigint) => BigInt.asIntN(bits, value);
  const isTrue = (value: boolean) => (value ? 1n : 0n);
  const width = BigInt(bits);
  const divide = (by: bigint, value: () => bigint): bigint => {
    if (by === 0n) throw new ElfError("an expression of its unwind data divides by zero");
    return value();
  };
  switch (code) {
    case 0x1a:
      return (a, b) => a & b;
    case 0x1b:
      return (a, b) => divide(b, () => signed(a) / signed(b));
    case 0x1c:
      return (a, b) => a - b;
    case 0x1d:
      return (a, b) => divide(b, () => a % b);
    case 0x1e:
      return (a, b) => a * b;
    case 0x21:
      return (a, b) => a | b;
    case 0x22:
      return (a, b) => a + b;
    case 0x24:
      return (a, b) => (b >= width ? 0n : a << b);
    case 0x25:
      return (a, b) => (b >= width ? 0n : a >> b);
    case 0x26:
      return (a, b) => signed(a) >> (b >= width ? width - 1n : b);
    case 0x27:
      return (a, b) => a ^ b;
    case 0x29:
      return (a, b) => isTrue(a === b);
    case 0x2a:
      return (a, b) => isTrue(signed(a) >= signed(b));
    case 0x2b:
      return (a, b) => isTrue(signed(a) > signed(b));
    case 0x2c:
      return (a, b) => isTrue(signed(a) <= signed(b));
    case 0x2d:
      return (a, b) => isTrue(signed(a) < signed(b));
    case 0x2e:
      return (a, b) => isTrue(a !== b);
    default:
      return undefined;
  }
}

/**
 * Evaluates an expression of unwind data (DWARF 5, 2.5.1).
 *
 * @param first the value that lies there when it begins: the frame's address in rules of registers, none in that of the frame
 * @throws ElfError when it is damaged, has no end, or asks for what is not known
 */
export function evaluateExpression(
  expression: Uint8Array,
  context: ExpressionContext,
  first: bigint | undefined,
): bigint {
  const { bits } = context;
  const reader = new DwarfReader(expression, 0n, bits);
  const stack: bigint[] = first === undefined ? [] : [first];
  const push = (value: bigint): void => {
    if (stack.length >= MOST_VALUES) throw new ElfError("an expression of its unwind data has no end");
    stack.push(BigInt.asUintN(bits, value));
  };
  const peek = (depth: number): bigint => {
    const value = stack.at(-1 - depth);
    if (value === undefined) throw new ElfError("an expression of its unwind data takes what is not there");
    return value;
  };
  const pop = (): bigint => {
    const value = peek(0);
    stack.pop();
    return value;
  };
  const jump = (distance: bigint): void => {
    const to = BigInt(reader.at) + distance;
    if (to < 0n || to > BigInt(expression.length)) throw new ElfError("an expression of its unwind data leaves itself");
    reader.at = Number(to);
  };
  for (let steps = 0; !reader.isAtEnd; steps++) {
    if (steps >= MOST_STEPS) throw new ElfError("an expression of its unwind data has no end");
    const code = reader.byte();
    const binary = binaryOf(code, bits);
    if (binary !== undefined) {
      const upper = pop();
      push(binary(pop(), upper));
    } else if (code >= 0x30 && code <= 0x4f) push(BigInt(code - 0x30));
    else if (code >= 0x70 && code <= 0x8f) push(context.readRegister(code - 0x70) + reader.sleb());
    else if (code >= 0x08 && code <= 0x0f) {
      const size = 1 << ((code - 0x08) >> 1);
      push((code & 1) === 0 ? reader.unsigned(size) : reader.signed(size));
    } else {
      switch (code) {
        case 0x03: // addr
          push(reader.unsigned(bits / 8));
          break;
        case 0x06: // deref
          push(context.readMemory(pop(), bits / 8));
          break;
        case 0x94: {
          // deref_size
          const size = reader.byte();
          if (![1, 2, 4, 8].includes(size)) throw new ElfError(`an expression of its unwind data reads ${size} bytes`);
          push(context.readMemory(pop(), size));
          break;
        }
        case 0x10: // constu
          push(reader.uleb());
          break;
        case 0x11: // consts
          push(reader.sleb());
          break;
        case 0x12: // dup
          push(peek(0));
          break;
        case 0x13: // drop
          pop();
          break;
        case 0x14: // over
          push(peek(1));
          break;
        case 0x15: // pick
          push(peek(reader.byte()));
          break;
        case 0x16: // swap
        case 0x17: {
          // rot: the uppermost goes below the next two
          const depth = code - 0x15;
          peek(depth);
          stack.splice(-1 - depth, 0, pop());
          break;
        }
        case 0x19: {
          // abs
          const value = BigInt.asIntN(bits, pop());
          push(value < 0n ? -value : value);
          break;
        }
        case 0x1f: // neg
          push(-pop());
          break;
        case 0x20: // not
          push(~pop());
          break;
        case 0x23: // plus_uconst
          push(pop() + reader.uleb());
          break;
        case 0x28: {
          // bra
          const distance = reader.signed(2);
          if (pop() !== 0n) jump(distance);
          break;
        }
        case 0x2f: // skip
          jump(reader.signed(2));
          break;
        case 0x92: {
          // bregx
          const register = reader.count();
          push(context.readRegister(register) + reader.sleb());
          break;
        }
        case 0x96: // nop
          break;
        default:
          throw new ElfError(`an expression of its unwind data has the unknown operation 0x${code.toString(16)}`);
      }
    }
  }
  return pop();
}
