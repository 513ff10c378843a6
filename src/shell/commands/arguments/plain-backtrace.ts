import { followFramePointers, type StackMemory } from "../../../guest/unwinding/backtrace";
import type { FrameRegisters, StackFrame } from "../../../guest/unwinding/stack-frame";
import type { UnwindContext } from "../../../systems/windows/unwinding/x64-unwinder";
import { MemoryError } from "../../../machine/errors";
import { readVa } from "../../../machine/state/memory";
import { getRunningProcess } from "../../../machine/state/processes";
import type { CommandSession } from "../command-session";

/** Reads the registers of the vCPU that a session looks at. */
export function readRunning(session: CommandSession): FrameRegisters {
  const { RIP, RSP, RBP } = session.cpu;
  return { ip: RIP, sp: RSP, bp: RBP, isExact: true };
}

/** Reads all general registers of the vCPU that a session looks at, as the processor numbers them. */
export function readRunningContext(session: CommandSession): UnwindContext {
  const { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, RIP } = session.cpu;
  const registers = [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15];
  return { ip: RIP, registers, isExact: true };
}

/** Follows the frame pointers of what the vCPU executes, in a guest whose system rebox does not know. */
export function unwindPlainly(session: CommandSession): StackFrame[] {
  const { pointerSize } = session;
  const pgd = getRunningProcess(session.cpuIndex);
  const memory: StackMemory = {
    pointerSize,
    findPointer: (address) => {
      try {
        const bytes = readVa(pgd, address, pointerSize);
        return pointerSize === 8 ? bytes.readBigUInt64LE() : BigInt(bytes.readUInt32LE());
      } catch (error) {
        if (error instanceof MemoryError) return undefined;
        throw error;
      }
    },
  };
  const start = readRunning(session);
  const first: StackFrame = { address: start.ip, stackPointer: start.sp, method: "registers" };
  return [first, ...followFramePointers(memory, start, () => true)];
}
