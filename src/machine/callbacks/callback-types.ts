import type { Cpu } from "../state/cpu";
import type { CallbackFilter } from "./callback-filter";
import type { StreamColumn } from "./event-batch";
import type { TranslationBlock } from "./translation-block";

/**
 * What each type of callback is called with, in the seed's order.
 *
 * A callback that returns a promise holds the guest until it has settled; the event loop goes on meanwhile.
 *
 * haddr is guest-physical. In INSN_END_CB, BLOCK_END_CB and OPCODE_RANGE_CB the vCPU is at the next instruction already.
 */
export interface CallbackFunctions {
  BLOCK_BEGIN_CB: (cpuIndex: number, cpu: Cpu, tb: TranslationBlock) => void | Promise<void>;
  BLOCK_END_CB: (
    cpuIndex: number,
    cpu: Cpu,
    tb: TranslationBlock,
    curPc: bigint,
    nextPc: bigint,
  ) => void | Promise<void>;
  INSN_BEGIN_CB: (cpuIndex: number, cpu: Cpu) => void | Promise<void>;
  INSN_END_CB: (cpuIndex: number, cpu: Cpu) => void | Promise<void>;
  MEM_READ_CB: (cpuIndex: number, vaddr: bigint, size: number, haddr: bigint) => void | Promise<void>;
  MEM_WRITE_CB: (cpuIndex: number, vaddr: bigint, size: number, haddr: bigint, data: bigint) => void | Promise<void>;
  KEYSTROKE_CB: (keycode: number) => void | Promise<void>;
  NIC_SEND_CB: (addr: bigint, size: number, buf: Buffer) => void | Promise<void>;
  NIC_REC_CB: (buf: Buffer, size: number, curPos: bigint, start: bigint, stop: bigint) => void | Promise<void>;
  OPCODE_RANGE_CB: (cpuIndex: number, cpu: Cpu, pc: bigint, nextPc: bigint, insnSize: number) => void | Promise<void>;
  TLB_EXEC_CB: (cpu: Cpu, vaddr: bigint) => void | Promise<void>;
  CONTEXTCHANGE_CB: (oldPgd: bigint, newPgd: bigint, cpuIndex: number) => void | Promise<void>;
  CREATEPROC_CB: (pid: number, pgd: bigint, name: string) => void | Promise<void>;
  REMOVEPROC_CB: (pid: number, pgd: bigint, name: string) => void | Promise<void>;
  LOADMODULE_CB: (
    pid: number,
    pgd: bigint,
    base: bigint,
    size: number,
    name: string,
    fullname: string,
  ) => void | Promise<void>;
  REMOVEMODULE_CB: (
    pid: number,
    pgd: bigint,
    base: bigint,
    size: number,
    name: string,
    fullname: string,
  ) => void | Promise<void>;
}

/** The types of callbacks, by their names: "BLOCK_BEGIN_CB" ... */
export type CallbackType = keyof CallbackFunctions;

/** How a callback is registered. */
export interface CallbackOptions {
  /** What it is called; made up when left out. A name that exists gets a number behind it. */
  readonly name?: string;
  /**
   * BLOCK_BEGIN_CB, INSN_BEGIN_CB: only blocks or instructions that begin at this virtual address, whether the process
   * is monitored or not.
   */
  readonly addr?: bigint;
  /**
   * With addr: only in this address space; in any when left out. LOADMODULE_CB, REMOVEMODULE_CB: only modules of this
   * process, 0n for the kernel's; of all when left out.
   */
  readonly pgd?: bigint;
  /** OPCODE_RANGE_CB, required: the first opcode, one byte or 0x0fxx. */
  readonly startOpcode?: number;
  /** OPCODE_RANGE_CB, required: the last opcode, included. */
  readonly endOpcode?: number;
  /**
   * Which events reach the script; decided natively, before any call. Not for keys and frames; for processes and modules
   * pgd, every and hits.
   */
  readonly filter?: CallbackFilter;
  /**
   * CREATEPROC_CB, LOADMODULE_CB: first calls this function for each process or module that exists already, as if it
   * had begun just now. Other callbacks notice nothing.
   */
  readonly replay?: boolean;
}

/** How a stream is registered. */
export interface StreamOptions extends Omit<CallbackOptions, "addr" | "replay"> {
  /** How many records a batch holds; 4096 by default. */
  readonly capacity?: number;
  /** Which columns are filled; by default those of the type but `physical`, which costs a look-up for each access. */
  readonly columns?: readonly StreamColumn[];
  /**
   * What happens when a batch is full: "wait" (default) calls the handler at once, and the guest waits for it; "drop"
   * drops what comes until the event loop calls the handler, and counts it.
   */
  readonly onFull?: "wait" | "drop";
}
