import type { VirtualMemory } from "../../memory/virtual-memory";

const RSP = 4;
/** Of an epilog, in bytes: an adjustment, eight registers of two bytes each, a jump. */
const LONGEST = 32;

/** The code of an epilog, as far as it is decoded. */
interface Code {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at: number;
}

/**
 * Undoes what is left of a function's epilog, when an address lies in one: x64 exception handling allows only an adjustment of
 * the stack pointer, pops of registers, and a return or a jump out of the function.
 *
 * @param ip where execution stands
 * @param function its range of addresses: a jump within it is no end
 * @param frameRegister from which the stack pointer may be made, by its number
 * @returns the registers before the return; undefined when this is no epilog
 * @throws AddressError when the stack cannot be read
 */
export function undoEpilog(
  memory: VirtualMemory,
  ip: bigint,
  range: { readonly start: bigint; readonly end: bigint },
  frameRegister: number | undefined,
  registers: readonly bigint[],
): bigint[] | undefined {
  const bytes = memory.readSome(ip, LONGEST);
  const code: Code = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at: 0 };
  const undone = [...registers];
  const sp = adjust(code, frameRegister, undone);
  if (sp !== undefined) undone[RSP] = sp;
  const popped: number[] = [];
  for (let register = pop(code); register !== undefined; register = pop(code)) popped.push(register);
  if (!isEnd(code, ip, range)) return undefined;
  for (const register of popped) {
    const from = undone[RSP] as bigint;
    undone[register] = memory.u64(from);
    undone[RSP] = from + 8n;
  }
  return undone;
}

/** add rsp, constant; or lea rsp, [frame register + constant]. */
function adjust(code: Code, frameRegister: number | undefined, registers: readonly bigint[]): bigint | undefined {
  const { bytes, view } = code;
  const [rex, operation, operand] = [bytes[0], bytes[1], bytes[2]];
  if (rex === 0x48 && operand === 0xc4 && (operation === 0x83 || operation === 0x81)) {
    const size = operation === 0x83 ? 1 : 4;
    if (bytes.length < 3 + size) return undefined;
    code.at = 3 + size;
    return (registers[RSP] as bigint) + BigInt(size === 1 ? view.getInt8(3) : view.getInt32(3, true));
  }
  if (operation !== 0x8d || frameRegister === undefined || operand === undefined) return undefined;
  if (rex !== (frameRegister < 8 ? 0x48 : 0x49) || (operand & 0x3f) !== (0x20 | (frameRegister & 7))) return undefined;
  const size = operand >> 6 === 1 ? 1 : operand >> 6 === 2 ? 4 : 0;
  if (size === 0 || bytes.length < 3 + size) return undefined;
  code.at = 3 + size;
  return (registers[frameRegister] as bigint) + BigInt(size === 1 ? view.getInt8(3) : view.getInt32(3, true));
}

/** pop of a register. */
function pop(code: Code): number | undefined {
  const first = code.bytes[code.at] ?? 0;
  const isHigh = first === 0x41;
  const operation = isHigh ? (code.bytes[code.at + 1] ?? 0) : first;
  if (operation < 0x58 || operation > 0x5f) return undefined;
  const register = operation - 0x58 + (isHigh ? 8 : 0);
  if (register === RSP) return undefined;
  code.at += isHigh ? 2 : 1;
  return register;
}

/** ret, rep ret, or a jump that leaves the function. */
function isEnd({ bytes, view, at }: Code, ip: bigint, { start, end }: { start: bigint; end: bigint }): boolean {
  const [first, second] = [bytes[at], bytes[at + 1]];
  if (first === 0xc3 || (first === 0xf3 && second === 0xc3)) return true;
  // jmp [rip + constant], which calls an imported function last; jmp register with REX.W, as compilers mark the end of a function.
  if (first === 0xff && second === 0x25) return true;
  if (first === 0x48 && second === 0xff && ((bytes[at + 2] ?? 0) & 0x38) === 0x20) return true;
  const size = first === 0xeb ? 1 : first === 0xe9 ? 4 : 0;
  if (size === 0 || bytes.length < at + 1 + size) return false;
  const distance = size === 1 ? view.getInt8(at + 1) : view.getInt32(at + 1, true);
  const target = ip + BigInt(at + 1 + size + distance);
  return target < start || target >= end;
}
