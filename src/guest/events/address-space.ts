import type { ModuleFacts } from "../../machine/callbacks/guest-event-source";

/** Addresses of a process that are mapped as code. */
export interface CodeRange {
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
}

/** An address space that has been told of. */
export interface AddressSpace {
  /** The address of its mm_struct. */
  readonly mm: bigint;
  /** The number of the process that it was made for. */
  readonly pid: number;
  readonly pgd: bigint;
  /** As it was when it was made. */
  readonly name: string;
  /** Its program is being loaded: what is mapped meanwhile is told when all of it is. */
  isLoading: boolean;
  /** What of its modules has been told, by base; undefined while nobody wants to know. */
  modules?: ReadonlyMap<bigint, ModuleFacts>;
  /** Where its modules' code is. */
  code: readonly CodeRange[];
}
