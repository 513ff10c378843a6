import { followFramePointers, type StackMemory } from "../../../guest/unwinding/frame-pointers";
import type { FrameRegisters, StackFrame } from "../../../guest/unwinding/stack-frame";
import { MemoryError } from "../../../machine/errors";
import { readVa } from "../../../machine/state/memory";
import { getRunningProcess } from "../../../machine/state/processes";
import type { CommandSession } from "../command-session";

/** Reads the registers of the vCPU that a session looks at. */
function readRunning(session: CommandSession): FrameRegisters {
  const { RIP, RSP, RBP } = session.cpu;
  return { ip: RIP, sp: RSP, bp: RBP, isExact: true };
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
