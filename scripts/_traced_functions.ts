/** Chooses the functions that are traced, by module and pattern; for api_trace, and for the module apicalls of the lab. */
import { type FunctionHandlers, type FunctionHook, type FunctionHookOptions, hookFunction } from "rebox";
import { PROTOTYPES, UNKNOWN_PROTOTYPE } from "./_prototypes";

/** The C libraries, and the parts of it that had files of their own before glibc 2.34. */
const C_LIBRARY = ["libc.so.6", "libpthread.so.0", "libdl.so.2", "libc.musl-*", "ld-musl-*"];

/** Functions of one module; both may have * and ? in them. */
export interface TracedFunctions {
  readonly module: string;
  readonly name: string;
}

/**
 * Reads words such as "libssl.so*!SSL_*", and "str*" for functions of the C library; without any, all of those that are known.
 *
 * @throws Error for a word that names no function
 */
export function readFunctions(words: readonly string[]): TracedFunctions[] {
  return (words.length === 0 ? ["*"] : words).flatMap((word) => {
    const at = word.indexOf("!");
    const name = word.slice(at + 1);
    if (name === "" || at === 0) throw new Error(`${word} names no function: libc.so.6!*`);
    return at < 0 ? C_LIBRARY.map((module) => ({ module, name })) : [{ module: word.slice(0, at), name }];
  });
}

/** Has the calls of functions recorded, and handed to a function. Modules that are not there are waited for. */
export function traceFunctions(
  functions: readonly TracedFunctions[],
  onCalls: NonNullable<FunctionHandlers["onCalls"]>,
  options: Pick<FunctionHookOptions, "process" | "fromOutside">,
): FunctionHook[] {
  return functions.map(({ module, name }) => {
    const isAll = name === "*" && C_LIBRARY.includes(module);
    const describe = (found: string) => (PROTOTYPES.get(found) ?? (isAll ? undefined : UNKNOWN_PROTOTYPE))?.description;
    // As a pattern, it waits for a module without complaint.
    return hookFunction(module, name, { onCalls }, { ...options, describe });
  });
}
