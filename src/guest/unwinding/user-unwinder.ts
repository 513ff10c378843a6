import { ElfError } from "../../systems/errors";
import type { UnwindTable } from "../../systems/symbols/elf/unwind-table";
import { findUnwindRow, type RegisterRule } from "../../systems/symbols/elf/unwind-row";
import { evaluateExpression, type ExpressionContext } from "./dwarf-expression";

/** The registers of a program in the order of DWARF's numbers, the last one of which is the program counter (System V ABI, 3.6.2 of AMD64, figure 2.14 of i386). */
export const DWARF_REGISTERS = {
  64: [
    ...["RAX", "RDX", "RCX", "RBX", "RSI", "RDI", "RBP", "RSP"],
    ...["R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15", "RIP"],
  ],
  32: ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "RIP"],
} as const;

/** The numbers of registers that have a role. */
export const ROLES = {
  64: { sp: 7, bp: 6, ip: 16 },
  32: { sp: 4, bp: 5, ip: 8 },
} as const;

/** One frame of a program, with all registers that are known of it, by DWARF's numbers. */
export interface UserFrame {
  readonly registers: readonly (bigint | undefined)[];
  /** Whether the program counter is where execution stands, not a return address. */
  readonly isExact: boolean;
}

/** The memory of a program: undefined where nothing can be read. */
export interface UserMemory {
  /** @param size 1, 2, 4 or 8 bytes */
  findWord(address: bigint, size: number): bigint | undefined;
}

/** The outcome of a step: the caller, the end of the stack, or that the tables say nothing of the place. */
export type UserStep = UserFrame | "end" | "unknown";

/**
 * Goes to the caller of a frame of a program by the unwind data of its module.
 *
 * @param table of the module that the program counter is in
 * @param bias the distance from the file's own addresses to those of the process
 * @returns "unknown" where the data says nothing, is damaged, or leads to memory that cannot be read
 */
export function stepUser(frame: UserFrame, table: UnwindTable, bias: bigint, memory: UserMemory): UserStep {
  try {
    return step(frame, table, bias, memory);
  } catch (error) {
    if (error instanceof ElfError) return "unknown";
    throw error;
  }
}

function step({ registers, isExact }: UserFrame, table: UnwindTable, bias: bigint, memory: UserMemory): UserStep {
  const { bits } = table;
  const { sp, ip } = ROLES[bits];
  const place = registers[ip];
  if (place === undefined) return "unknown";
  // A return address may be that of the next function, where the call was the last instruction.
  const own = BigInt.asUintN(bits, place - bias - (isExact ? 0n : 1n));
  const entry = table.findEntry(own);
  if (entry === undefined) return "unknown";
  const row = findUnwindRow(entry, own, bits);
  const context: ExpressionContext = {
    bits,
    readRegister: (register) => need(registers[register], `register ${register}`),
    readMemory: (address, size) => need(memory.findWord(address, size), `the memory at 0x${address.toString(16)}`),
  };
  const cfa = BigInt.asUintN(
    bits,
    "expression" in row.frame
      ? evaluateExpression(row.frame.expression, context, undefined)
      : context.readRegister(row.frame.register) + row.frame.offset,
  );
  const returned = row.rules.get(entry.common.returnRegister);
  if (returned?.kind === "undefined") return "end";
  const callers = registers.map((value, register) => {
    const rule = row.rules.get(register);
    if (rule === undefined) return register === sp ? cfa : value;
    return findRegister(rule, value, cfa, context);
  });
  callers[ip] = findRegister(returned ?? { kind: "same" }, registers[entry.common.returnRegister], cfa, context);
  if (callers[ip] === undefined) return "unknown";
  return { registers: callers, isExact: entry.common.isSignalFrame };
}

/** Finds a register's value in the caller; undefined for one that nobody has kept, or whose place cannot be read. */
function findRegister(
  rule: RegisterRule,
  value: bigint | undefined,
  cfa: bigint,
  context: ExpressionContext,
): bigint | undefined {
  const { bits } = context;
  const word = bits / 8;
  switch (rule.kind) {
    case "undefined":
      return undefined;
    case "same":
      return value;
    case "saved at":
      return context.readMemory(BigInt.asUintN(bits, cfa + rule.offset), word);
    case "offset":
      return BigInt.asUintN(bits, cfa + rule.offset);
    case "register":
      return context.readRegister(rule.register);
    case "saved by expression":
      return context.readMemory(evaluateExpression(rule.expression, context, cfa), word);
    case "expression":
      return evaluateExpression(rule.expression, context, cfa);
  }
}

function need(value: bigint | undefined, what: string): bigint {
  if (value === undefined) throw new ElfError(`its unwind data leads to ${what}, which is not known`);
  return value;
}
