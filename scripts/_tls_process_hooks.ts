/** Hooks on places that are known only when a process runs; for tls_plain. */
import {
  type FunctionCall,
  type FunctionDescription,
  type FunctionHandlers,
  type FunctionHook,
  getModuleList,
  hookFunction,
} from "rebox";

/** Processes whose hooks are kept. */
const MOST_PROCESSES = 256;

/** Hooks on instructions of a module, by process: they are set once in each, and those of too many processes are taken out. */
export class ProcessHooks {
  readonly #processes = new Map<bigint, { readonly pid: number; readonly hooks: FunctionHook[] }>();

  /** Reports whether the hooks of the process that calls are set; an address space may be another process' by now. */
  has({ pgd, pid }: FunctionCall): boolean {
    return this.#processes.get(pgd)?.pid === pid;
  }

  /**
   * Sets the hooks of the process that calls, in place of those of before.
   *
   * @param places addresses in the module of the function that is called; others are left out
   */
  set(
    call: FunctionCall,
    places: readonly {
      readonly address: bigint;
      readonly handlers: FunctionHandlers;
      readonly types: FunctionDescription;
    }[],
  ): void {
    const { pid, pgd, module } = call;
    this.#remove(pgd);
    const [oldest] = this.#processes.keys();
    if (this.#processes.size >= MOST_PROCESSES && oldest !== undefined) this.#remove(oldest);
    const hooks: FunctionHook[] = [];
    this.#processes.set(pgd, { pid, hooks });
    const found = getModuleList(pgd).find(
      ({ name, base, size }) => name === module && isInside(call.address, base, size),
    );
    if (found === undefined) return;
    for (const { address, handlers, types } of places) {
      if (!isInside(address, found.base, found.size)) continue;
      hooks.push(hookFunction(module, address - found.base, handlers, { ...types, process: pgd }));
    }
  }

  clear(): void {
    for (const pgd of [...this.#processes.keys()]) this.#remove(pgd);
  }

  #remove(pgd: bigint): void {
    for (const hook of this.#processes.get(pgd)?.hooks ?? []) hook.remove();
    this.#processes.delete(pgd);
  }
}

function isInside(address: bigint, base: bigint, size: number): boolean {
  return address >= base && address < base + BigInt(size);
}
