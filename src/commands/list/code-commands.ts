import { type Command, defineCommand } from "../command";
import { CommandError } from "../command-error";
import type { CommandSession } from "../command-session";
import { Disassembler } from "../disassembler";
import { readGuestBytes } from "../guest-bytes";
import { getSize, type MemoryRange, parseRange } from "../memory-place";

const DEFAULT_COUNT = 16;
const MOST_INSTRUCTIONS = 0x1000;
const LONGEST_INSTRUCTION = 15;

function disassemble(range: MemoryRange, session: CommandSession) {
  const count = getSize(range, DEFAULT_COUNT, MOST_INSTRUCTIONS);
  const memory = readGuestBytes(range, session.pgd, count * LONGEST_INSTRUCTION);
  const end = memory.bytes.findIndex((_, index) => !memory.has(index));
  if (end === 0) throw new CommandError(`nothing can be read at 0x${range.address.toString(16)}`);
  const namer = session.createNamer();
  const code = memory.bytes.subarray(0, end < 0 ? undefined : end);
  const found = [...new Disassembler(session.codeBits).decode(code, range.address, count)];
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
];
