import type { Cpu } from "../guest/cpu";
import type { TranslationBlock } from "./translation-block";

/** What each type of callback is called with, in the seed's order. */
export interface CallbackFunctions {
  BLOCK_BEGIN_CB: (cpuIndex: number, cpu: Cpu, tb: TranslationBlock) => void;
  CONTEXTCHANGE_CB: (oldPgd: bigint, newPgd: bigint, cpuIndex: number) => void;
}

export type CallbackType = keyof CallbackFunctions;

/** How a callback is registered. */
export interface CallbackOptions {
  /** What it is called; made up when left out. A name that exists gets a number behind it. */
  readonly name?: string;
  /** BLOCK_BEGIN_CB: only blocks that begin at this virtual address, whether the process is monitored or not. */
  readonly addr?: bigint;
  /** BLOCK_BEGIN_CB with addr: only in this address space; in any when left out. */
  readonly pgd?: bigint;
}
