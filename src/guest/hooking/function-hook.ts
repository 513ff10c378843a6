import type { HookBody } from "./hooked-function";

/** A place in a process at which a function begins that is hooked. */
export interface HookedPlace {
  /** The process; 0 for the kernel. */
  readonly pid: number;
  /** Its address space; 0 for the kernel. */
  readonly pgd: bigint;
  readonly module: string;
  readonly name: string;
  readonly address: bigint;
}

/** A hook on one function, or on all whose names match, in all processes or in some. */
export class FunctionHook {
  readonly #body: HookBody;
  readonly #list: () => HookedPlace[];
  readonly #count: () => number;
  readonly #remove: () => void;

  /**
   * @param list finds where it is set now
   * @param count counts the calls that it has seen begin
   * @param remove takes it out of the guest
   */
  constructor(
    /** The module as it was asked for. */
    readonly module: string,
    /** The function as it was asked for: a name, a pattern, or a place in the module. */
    readonly name: string | bigint,
    body: HookBody,
    list: () => HookedPlace[],
    count: () => number,
    remove: () => void,
  ) {
    this.#body = body;
    this.#list = list;
    this.#count = count;
    this.#remove = remove;
  }

  /** The places where it is set: one for each process that has the function, and each name. Those of processes that ended are gone. */
  get places(): readonly HookedPlace[] {
    return this.#list();
  }

  /** Whether no process has the function now: it waits for one that loads the module. */
  get isPending(): boolean {
    return !this.#body.isRemoved && this.#list().length === 0;
  }

  /** The number of calls that it has seen begin. */
  get calls(): number {
    return this.#count();
  }

  /** Takes it out of the guest. Calls that are open are forgotten: onLeave() is not called for them. */
  remove(): void {
    this.#remove();
  }
}
