import { findSystem, getGuest } from "../../../guest/guest";
import { type DecodedInstruction, Disassembler } from "../../../guest/unwinding/disassembler";
import { findFramesOfCpu, listFramesOfThread } from "../../../guest/unwinding/guest-backtrace";
import type { StackFrame } from "../../../guest/unwinding/stack-frame";
import { getRunningProcess } from "../../../machine/state/processes";
import type { LinuxGuest } from "../../../systems/linux/linux-guest";
import { CommandError } from "../../errors";
import { readGuestBytes, getSize, type MemoryRange, parseRange } from "../arguments/memory-place";
import { unwindPlainly } from "../arguments/plain-backtrace";
import { getLinuxProcess } from "../arguments/process-choice";
import { type Command, defineCommand } from "../command";
import type { CommandSession } from "../command-session";
import { AddressNamer } from "../rendering/address-namer";

const DEFAULT_COUNT = 16;
const MOST_INSTRUCTIONS = 0x1000;
const LONGEST_INSTRUCTION = 15;
const DEFAULT_COUNT_BEFORE = 8;
const MOST_INSTRUCTIONS_BEFORE = 0x100;
/** The longest distance from the beginning of a function, in bytes. */
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
    // Code that does not end exactly at the address was decoded from within an instruction.
    if (last && BigInt.asUintN(64, last.address + BigInt(last.size)) === range.address) {
      return showCode(found.slice(-count), range, session);
    }
  }
  throw new CommandError(`nothing can be decoded in front of 0x${range.address.toString(16)}`);
}

/** Lists the distances at which decoding may begin, in bytes, the best first: the beginning of the function, then any place. */
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

function showFrames(frames: readonly StackFrame[], namer: AddressNamer) {
  const rows = frames.map(({ address, stackPointer, method }, frame) => ({
    ...{ frame, address, method, symbol: namer.find(address) },
    stack: stackPointer,
  }));
  return { kind: "rows" as const, columns: ["frame", "address", "stack", "method", "symbol"], rows };
}

export const BACKTRACE_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "bt",
    aliases: ["k", "backtrace"],
    usage: "[PROCESS]",
    help: "Lists the functions that are being executed: by the vCPU, or by a process that does not run now, in its first thread that has not ended.\nThe column says how a frame was found: a heuristic one need not be one. In user mode callers are found by the unwind data (.eh_frame) of programs and libraries, else where they keep a frame pointer; in 64-bit Windows by the unwind data of every image.",
    parse: (input) => input.find(),
    run: (text, session) => {
      if (text === undefined) {
        // Without a process it is about the vCPU, whatever process the session looks at.
        const system = findSystem();
        const frames = findFramesOfCpu(session.cpu);
        if (system === undefined || frames === undefined)
          return showFrames(unwindPlainly(session), session.createNamer());
        const running = system.findProcess(getRunningProcess(session.cpu.index))?.pgd ?? 0n;
        return showFrames(frames, new AddressNamer(system, running));
      }
      const guest = getGuest();
      const process = getLinuxProcess(text, session);
      const task = process.livingThread;
      if (isOnCpu(guest, task.kaddr))
        throw new CommandError(`process ${process.pid} runs on a vCPU now: choose that by setcpu, then bt`);
      return showFrames(listFramesOfThread(guest, task), new AddressNamer(guest, process.pgd));
    },
  }),
];

/** Whether a vCPU executes the task: task_struct.on_cpu, which only kernels for several vCPUs have. */
function isOnCpu(guest: LinuxGuest, task: bigint): boolean {
  const place = guest.kernel.findMember("task_struct", "on_cpu");
  return place !== undefined && guest.kernel.readValue(task, place) !== 0n;
}
