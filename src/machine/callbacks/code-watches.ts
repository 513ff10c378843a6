import { Engine } from "../engine/engine";
import type { Cpu } from "../state/cpu";

/**
 * Is called before code is executed that is new in its page.
 *
 * @param pc of its first instruction
 * @param writer the page of the code that wrote it last, as far as that is known; 0 otherwise. In the kernel when it wrote for a program
 */
export type CodeWatcher = (cpu: Cpu, pc: bigint, writer: bigint) => void;

/** Watches which pages of address spaces are executed for the first time since they were written. There is one for each engine. */
export class CodeWatches {
  /** @param watcher must not throw */
  constructor(watcher: CodeWatcher) {
    Engine.get().native.setCodeWatcher((cpu, pc, writer) => watcher(cpu as Cpu, pc, writer));
  }

  /**
   * Watches the pages between two addresses, from the next block on; each is news until it is executed.
   *
   * @returns false when too much is watched already
   */
  add(pgd: bigint, from: bigint, to: bigint): boolean {
    return Engine.get().native.watchCode(pgd, from, to);
  }

  /** Says that the pages between two addresses that are in RAM are known: each is news when it has been written. */
  settle(pgd: bigint, from: bigint, to: bigint): void {
    Engine.get().native.settleCode(pgd, from, to);
  }

  /** Watches an address space no longer. */
  remove(pgd: bigint): void {
    Engine.get().native.unwatchCode(pgd);
  }

  /** Watches nothing any more. */
  end(): void {
    Engine.get().native.unwatchCode();
    Engine.get().native.setCodeWatcher(undefined);
  }
}
