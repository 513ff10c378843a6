import type { FrameRegisters, StackFrame } from "./stack-frame";

const MOST_FRAMES = 64;

/** The memory that a stack is read from: undefined where nothing can be read. */
export interface StackMemory {
  readonly pointerSize: 4 | 8;
  findPointer(address: bigint): bigint | undefined;
}

/**
 * Follows frame pointers, which needs no knowledge of the system: many programs do not keep them.
 *
 * @param start the registers to begin with
 * @param isCaller refuses return addresses that cannot be any
 * @returns the callers, the nearest first
 */
export function* followFramePointers(
  memory: StackMemory,
  start: Pick<FrameRegisters, "bp">,
  isCaller: (address: bigint) => boolean,
): Generator<StackFrame> {
  const word = BigInt(memory.pointerSize);
  for (let { bp } = start, count = 0; bp !== 0n && bp % word === 0n && count < MOST_FRAMES; count++) {
    const address = memory.findPointer(bp + word);
    const next = memory.findPointer(bp);
    if (address === undefined || next === undefined || address === 0n || !isCaller(address)) return;
    yield { address, stackPointer: bp + 2n * word, method: "frame pointer" };
    // Callers lie above.
    if (next <= bp) return;
    bp = next;
  }
}
