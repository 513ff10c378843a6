import type { Cpu } from "../../machine/state/cpu";
import type { BP } from "./breakpoint";

/** The events that a breakpoint can be about; physical ones concern an address of the machine's memory, from any process. */
export const BREAKPOINT_TYPES = [
  "execution",
  "memory-read",
  "memory-write",
  "physical-read",
  "physical-write",
] as const;

/** The event that a breakpoint waits for: execution, reading, writing ... */
export type BreakpointType = (typeof BREAKPOINT_TYPES)[number];

/** The facts that a breakpoint's function gets. */
export interface BreakpointHit {
  readonly breakpoint: BP;
  readonly cpuIndex: number;
  readonly cpu: Cpu;
  /** Of the instruction, or of the access: virtual, for a physical breakpoint guest-physical. */
  readonly address: bigint;
  /** Of the access, in bytes; 0 for an instruction. */
  readonly size: number;
  /** The value that is written, at most its low 64 bits. */
  readonly value?: bigint;
}

/** The properties of a breakpoint, besides its place. */
export interface BreakpointOptions {
  /** Of the range, in bytes; 1 by default. */
  readonly size?: number;
  /** "execution" by default. */
  readonly type?: BreakpointType;
  /**
   * Called at each hit, before the guest continues; a promise that it returns holds the guest. Without it, the shell of
   * `rebox run --shell` or the terminal UI holds the guest at each hit.
   */
  readonly func?: (hit: BreakpointHit) => void | Promise<void>;
  /** Only where this returns true, it is a hit. */
  readonly condition?: (hit: BreakpointHit) => boolean;
  /** Deletes itself after the first hit. */
  readonly isOneShot?: boolean;
  /** Made, but waits for enable(). */
  readonly isDisabled?: boolean;
  /** Of a symbol that is not there yet: waits until a module brings it. On by default; otherwise it is an error. */
  readonly mayWait?: boolean;
}

/** The names of the properties of a breakpoint. */
export const BREAKPOINT_OPTIONS = ["size", "type", "func", "condition", "isOneShot", "isDisabled", "mayWait"] as const;
