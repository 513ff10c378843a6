import { namePattern } from "../../systems/symbols/name-pattern";
import { HookError } from "../errors";
import type { FoundFunction } from "./hook-access";
import { checkDescription, type FunctionHookOptions } from "./hook-options";
import type { FunctionDescription, HookBody } from "./hooked-function";
import type { LoadedModule } from "./hooked-space";

/** A hook with what it looks for. */
export interface WantedHook {
  readonly body: HookBody;
  readonly module: string;
  readonly name: string | bigint;
  readonly options: FunctionHookOptions;
  readonly matches: (module: LoadedModule) => boolean;
  /** It was said that a module lacks the function. */
  isLackReported: boolean;
}

/**
 * Makes a test for modules: by the path when the text has a slash, else by the name. Behind an exclamation mark is what programs and
 * libraries are not to match.
 */
export function matchModule(wanted: string): (module: LoadedModule) => boolean {
  if (wanted.startsWith("!")) {
    const isOther = matchModule(wanted.slice(1));
    // The kernel and its modules are in no process.
    return (module) => module.pid !== 0 && !isOther(module);
  }
  const matches = namePattern(wanted);
  return wanted.includes("/") ? ({ path }) => matches(path) : ({ name }) => matches(name);
}

/** Reports whether a hook is to be set in a process; those of the kernel are in all. */
export function isWantedProcess({ process }: FunctionHookOptions, pid: number, pgd: bigint): boolean {
  if (process === undefined || pgd === 0n) return true;
  if (typeof process === "function") return process({ pid, pgd });
  return typeof process === "number" ? process === pid : process === pgd;
}

/** Compares names of one function: printf before _IO_printf, open before open64. */
function compareNames({ name: one }: FoundFunction, { name: other }: FoundFunction): number {
  const isReserved = (name: string): number => (name.startsWith("_") ? 1 : 0);
  return isReserved(one) - isReserved(other) || one.length - other.length || (one < other ? -1 : 1);
}

/** Chooses the functions that are wanted: of several names for one address the simplest that is described. */
export function chooseNames(
  functions: readonly FoundFunction[],
  module: string,
  options: FunctionHookOptions,
): IterableIterator<[FoundFunction, FunctionDescription]> {
  const chosen = new Map<bigint, [FoundFunction, FunctionDescription]>();
  for (const one of [...functions].sort(compareNames)) {
    if (chosen.has(one.address)) continue;
    const description = options.describe === undefined ? options : options.describe(one.name, module);
    if (description === undefined) continue;
    if (options.describe !== undefined) {
      checkDescription(description, (text) => {
        throw new HookError(`describe(${JSON.stringify(one.name)}, ${JSON.stringify(module)}): ${text}`);
      });
    }
    chosen.set(one.address, [one, description]);
  }
  return chosen.values();
}
