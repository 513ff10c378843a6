import type { UnwindTable } from "../../systems/symbols/elf/unwind-table";
import type { FrameRegisters, StackFrame } from "./stack-frame";
import { DWARF_REGISTERS, ROLES, stepUser, type UserFrame, type UserMemory } from "./user-unwinder";

const MOST_FRAMES = 64;

/** The registers of a program by their names; those that are not known are left out. */
export type UserRegisterValues = Readonly<Partial<Record<(typeof DWARF_REGISTERS)[64][number], bigint>>>;

/** The place to begin at. */
export interface UserStart extends FrameRegisters {
  /** All registers of the program at that place, when they are known. */
  readonly all?: UserRegisterValues | undefined;
}

/** The process whose stack is followed. */
export interface UserStack extends UserMemory {
  /** The width of its addresses where no module says it. */
  readonly bits: 32 | 64;
  /** Finds the unwind data of the module that an address is in; bias is the distance of its addresses from the file's own. */
  findTable(address: bigint): { readonly table: UnwindTable; readonly bias: bigint } | undefined;
  /** Refuses return addresses that cannot be any. */
  isUser(address: bigint): boolean;
}

/**
 * Follows the callers of a program by the unwind data of its modules, and where a module has none by frame pointers, which many programs do
 * not keep.
 *
 * @returns the callers, the nearest first
 */
export function* followUser(start: UserStart, stack: UserStack): Generator<StackFrame> {
  const bits = stack.findTable(start.ip)?.table.bits ?? stack.bits;
  const { sp, ip } = ROLES[bits];
  let frame = createFrame(start, bits);
  for (let count = 1; count < MOST_FRAMES; count++) {
    const at = frame.registers[ip]!;
    const found = stack.findTable(frame.isExact ? at : at - 1n);
    const next = found?.table.bits === bits ? stepUser(frame, found.table, found.bias, stack) : "unknown";
    if (next === "end") return;
    const caller = next === "unknown" ? followFramePointer(frame, stack, bits) : next;
    if (caller === undefined) return;
    const [address, before, stackPointer] = [caller.registers[ip]!, frame.registers[sp]!, caller.registers[sp]];
    // Callers lie above, but for a signal's handler, which may have a stack of its own.
    if (stackPointer === undefined || (stackPointer <= before && !caller.isExact)) return;
    if (address === 0n || !stack.isUser(address)) return;
    yield { address, stackPointer, method: next === "unknown" ? "frame pointer" : "unwind data" };
    frame = caller;
  }
}

function createFrame({ ip, sp, bp, isExact, all }: UserStart, bits: 32 | 64): UserFrame {
  const registers: (bigint | undefined)[] = DWARF_REGISTERS[bits].map((name) => all?.[name]);
  const roles = ROLES[bits];
  registers[roles.ip] = ip;
  registers[roles.sp] = sp;
  registers[roles.bp] = bp;
  return { registers: registers.map((value) => value && BigInt.asUintN(bits, value)), isExact };
}

function followFramePointer({ registers }: UserFrame, stack: UserStack, bits: 32 | 64): UserFrame | undefined {
  const { sp, bp, ip } = ROLES[bits];
  const word = BigInt(bits / 8);
  const frame = registers[bp];
  if (frame === undefined || frame === 0n || frame % word !== 0n || frame < registers[sp]!) return undefined;
  const [next, address] = [stack.findWord(frame, bits / 8), stack.findWord(frame + word, bits / 8)];
  if (next === undefined || address === undefined) return undefined;
  const callers = registers.map((): bigint | undefined => undefined);
  callers[ip] = address;
  callers[sp] = frame + 2n * word;
  callers[bp] = next;
  return { registers: callers, isExact: false };
}
