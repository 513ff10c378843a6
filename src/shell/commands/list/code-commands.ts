import { type Command, defineCommand } from "../command";
import { CommandError } from "../command-error";
import type { CommandSession } from "../command-session";
import { type DecodedInstruction, Disassembler } from "../../../guest/unwinding/disassembler";
import { readGuestBytes } from "../guest-bytes";
import { getSize, type MemoryRange, parseRange } from "../memory-place";

const DEFAULT_COUNT = 16;
const MOST_INSTRUCTIONS = 0x1000;
const LONGEST_INSTRUCTION = 15;
const DEFAULT_COUNT_BEFORE = 8;
const MOST_INSTRUCTIONS_BEFORE = 0x100;
/** From the beginning of a function, in bytes. */
const LONGEST_WAY = 0x1000n;
/** Decoding that has begun at a wrong place is right again after a few instructions. */
const SETTLING_INSTRUCTIONS = 4;

function disassemble(range: MemoryRange, session: CommandSession) {
  const count = getSize(range, DEFAULT_COUNT, MOST_INSTRUCTIONS);
  const memory = readGuestBytes(range, session.pgd, count * LONGEST_INSTRUCTION);
  const end = memory.bytes.findIndex((_, index) => !memory.has(index));
  if (end === 0) throw new CommandError(`nothing can be read at 0x${range.address.toString(16)}`);
  const code = memory.bytes.subarray(0, end < 0 ? undefined : end);
  return showCode([...new Disassembler(session.codeBits).decode(code, range.address, count)], range, session);
}

/** Shows the instructions in front of an address: those that decoding from further in front leads through. */
function disassembleBefore(range: MemoryRange, session: CommandSession) {
  const count = getSize(range, DEFAULT_COUNT_BEFORE, MOST_INSTRUCTIONS_BEFORE);
  const namer = session.createNamer();
  const offset = range.isPhysical ? undefined : namer.findOffset(range.address);
  const decoder = new Disassembler(session.codeBits);
  for (const distance of listDistances(offset, count)) {
    const start = BigInt.asUintN(64, range.address - BigInt(distance));
    const memory = readGuestBytes({ ...range, address: start }, session.pgd, distance);
    if (memory.bytes.some((_, index) => !memory.has(index))) continue;
    const found = [...decoder.decode(memory.bytes, start, distance)];
    const last = found.at(-1);
    // What does not end exactly at the address has begun within an instruction.
    if (last && BigInt.asUintN(64, last.address + BigInt(last.size)) === range.address) {
      return showCode(found.slice(-count), range, session);
    }
  }
  throw new CommandError(`nothing can be decoded in front of 0x${range.address.toString(16)}`);
}

/** How far in front decoding may begin, in bytes, the best first: where the function begins, then anywhere. */
function listDistances(offset: bigint | undefined, count: number): number[] {
  const isKnown = offset !== undefined && offset > 0n && offset <= LONGEST_WAY;
  const farthest = (count + SETTLING_INSTRUCTIONS) * LONGEST_INSTRUCTION;
  const guesses = Array.from({ length: farthest }, (_, index) => farthest - index);
  return isKnown ? [Number(offset), ...guesses] : guesses;
}

function showCode(found: readonly DecodedInstruction[], range: MemoryRange, session: CommandSession) {
  const namer = session.createNamer();
  const rows = found.map(({ address, bytes, text, target }) => {
    const shown = target === undefined ? undefined : namer.find(target);
    return {
      address,
      symbol: range.isPhysical ? undefined : namer.find(address),
      bytes: bytes.toString("hex"),
      instruction: shown === undefined ? text : `${text}  ; ${shown}`,
      target,
    };
  });
  return { kind: "rows" as const, columns: ["address", "symbol", "bytes", "instruction"], rows };
}

export const CODE_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "u",
    usage: "[[p]ADDRESS[:COUNT]]",
    help: `Disassembles COUNT instructions, ${DEFAULT_COUNT} by default; without an address from the vCPU's program counter on.\nThe mode, 16, 32 or 64 bits, is that of the code that the vCPU executes.`,
    parse: (input, session): MemoryRange => {
      const text = input.find();
      if (text !== undefined) return parseRange(text, session);
      return { isPhysical: false, address: session.codeAddress, size: undefined };
    },
    run: disassemble,
  }),
  defineCommand({
    name: "dis",
    usage: "[COUNT]",
    help: "Disassembles COUNT instructions from the vCPU's program counter on.",
    parse: (input, session): MemoryRange => {
      const range = parseRange(`0:${input.find() ?? DEFAULT_COUNT.toString(16)}`, session);
      return { ...range, address: session.codeAddress };
    },
    run: disassemble,
  }),
  defineCommand({
    name: "ub",
    usage: "[[p]ADDRESS[:COUNT]]",
    help: `Disassembles COUNT instructions in front of ADDRESS, ${DEFAULT_COUNT_BEFORE} by default; without an address in front of the vCPU's program counter.\nFrom the beginning of the function where that is known; elsewhere the first ones may be wrong.`,
    parse: (input, session): MemoryRange => {
      const text = input.find();
      if (text !== undefined) return parseRange(text, session);
      return { isPhysical: false, address: session.codeAddress, size: undefined };
    },
    run: disassembleBefore,
  }),
];
