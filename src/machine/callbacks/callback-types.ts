import type { Cpu } from "../state/cpu";
import type { CallbackFilter } from "./callback-filter";
import type { EventType, StreamColumn } from "../engine/event-table";
import type { TranslationBlock } from "./translation-block";

/** A callback returns nothing, or a promise that holds the guest until it has settled; the event loop continues. */
export type CallbackResult = void | Promise<void>;

/**
 * The function of each type of callback; the arguments have PyREBox's order.
 *
 * vaddr is virtual and paddr guest-physical, both of the first byte of an access. In INSN_END_CB, BLOCK_END_CB and OPCODE_RANGE_CB the vCPU is at the next instruction already.
 */
export interface CallbackFunctions {
  BLOCK_BEGIN_CB: (cpuIndex: number, cpu: Cpu, tb: TranslationBlock) => CallbackResult;
  BLOCK_END_CB: (cpuIndex: number, cpu: Cpu, tb: TranslationBlock, curPc: bigint, nextPc: bigint) => CallbackResult;
  INSN_BEGIN_CB: (cpuIndex: number, cpu: Cpu) => CallbackResult;
  INSN_END_CB: (cpuIndex: number, cpu: Cpu) => CallbackResult;
  MEM_READ_CB: (cpuIndex: number, vaddr: bigint, size: number, paddr: bigint) => CallbackResult;
  MEM_WRITE_CB: (cpuIndex: number, vaddr: bigint, size: number, paddr: bigint, data: bigint) => CallbackResult;
  KEYSTROKE_CB: (keycode: number) => CallbackResult;
  NIC_SEND_CB: (addr: bigint, size: number, buf: Buffer) => CallbackResult;
  NIC_REC_CB: (buf: Buffer, size: number, curPos: bigint, start: bigint, stop: bigint) => CallbackResult;
  OPCODE_RANGE_CB: (cpuIndex: number, cpu: Cpu, pc: bigint, nextPc: bigint, insnSize: number) => CallbackResult;
  TLB_EXEC_CB: (cpu: Cpu, vaddr: bigint) => CallbackResult;
  CONTEXTCHANGE_CB: (oldPgd: bigint, newPgd: bigint, cpuIndex: number) => CallbackResult;
  CPUID_CB: (cpuIndex: number, cpu: Cpu, leaf: number, subleaf: number) => CallbackResult;
  CREATEPROC_CB: (pid: number, pgd: bigint, name: string) => CallbackResult;
  REMOVEPROC_CB: (pid: number, pgd: bigint, name: string) => CallbackResult;
  LOADMODULE_CB: (
    pid: number,
    pgd: bigint,
    base: bigint,
    size: number,
    name: string,
    fullname: string,
  ) => CallbackResult;
  REMOVEMODULE_CB: (
    pid: number,
    pgd: bigint,
    base: bigint,
    size: number,
    name: string,
    fullname: string,
  ) => CallbackResult;
  EXEC_CB: (
    pid: number,
    pgd: bigint,
    name: string,
    path: string,
    argv: readonly string[],
    envp: readonly string[],
  ) => CallbackResult;
}

/** The types of callbacks, by their names: "BLOCK_BEGIN_CB" ... */
export type CallbackType = EventType;

/** The options of a callback. */
export interface CallbackOptions {
  /** Its name; made up when left out. A name that exists gets a number behind it. */
  readonly name?: string;
  /**
   * BLOCK_BEGIN_CB, INSN_BEGIN_CB: only blocks or instructions that begin at this virtual address, whether the process
   * is monitored or not.
   */
  readonly addr?: bigint;
  /** The same as addr. */
  readonly address?: bigint;
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
   * Selects the events that reach the script; decided natively, before any call. Not for keys and frames; for processes
   * and modules pgd, every and hits.
   */
  readonly filter?: CallbackFilter;
  /**
   * CREATEPROC_CB, LOADMODULE_CB: first calls this function for each process or module that exists already, as if it
   * had begun just now. Other callbacks notice nothing.
   */
  readonly replay?: boolean;
}

/** The options of a stream. */
export interface StreamOptions extends Omit<CallbackOptions, "addr" | "address" | "pgd" | "replay"> {
  /** The number of records that a batch holds; 4096 by default. */
  readonly capacity?: number;
  /** The columns to fill; by default those of the type except `physical`, which costs a look-up for each access. */
  readonly columns?: readonly StreamColumn[];
  /**
   * Says what happens to a full batch: "wait" (default) calls the handler at once, and the guest waits for it; "drop"
   * drops and counts the events until the event loop calls the handler.
   */
  readonly onFull?: "wait" | "drop";
}
