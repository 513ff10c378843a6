/** The way in which a frame was found: "heuristic" is a value on the stack that could be a return address, and need not be one. */
export type FrameMethod = "registers" | "saved" | "orc" | "unwind data" | "frame pointer" | "heuristic";

/** One function that is being executed. */
export interface StackFrame {
  readonly address: bigint;
  /** The stack pointer in it. */
  readonly stackPointer: bigint;
  readonly method: FrameMethod;
}

/** The registers that unwinding starts with. */
export interface FrameRegisters {
  readonly ip: bigint;
  readonly sp: bigint;
  readonly bp: bigint;
  /** Whether ip is where execution stands, not a return address: that lies behind the call, maybe in the next function. */
  readonly isExact: boolean;
}
