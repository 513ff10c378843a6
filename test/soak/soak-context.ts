import { type CallbackManager, readVa } from "rebox";

/** One of the guest's two workers, native/guest/programs/soaker.c. */
export interface Worker {
  /** The vCPU that it is pinned to. */
  readonly cpu: number;
  readonly pgd: bigint;
  /** Address of the function that it counts the calls of. */
  readonly tick: bigint;
  /** Address of its count. */
  readonly ticks: bigint;
  /** Address of a buffer that it fills. */
  readonly words: bigint;
}

/** What every part of the soak script shares. */
export interface SoakContext {
  readonly callbacks: CallbackManager;
  readonly workers: readonly Worker[];
  /** Addresses of kernel functions that are executed often. */
  readonly kernel: readonly bigint[];
  /** The trigger that counts events, without a suffix. */
  readonly trigger: string;
  /** Reports that something that must hold does not. */
  readonly violate: (what: string) => void;
}

/** Reads a worker's own count of the calls of its function. */
export function readTicks(worker: Worker): bigint {
  return readVa(worker.pgd, worker.ticks, 8).readBigUInt64LE();
}
