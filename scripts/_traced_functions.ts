/** Chooses the functions that are traced, by module and pattern; for api_trace, and for the module apicalls of the lab. */
import {
  backtrace,
  type BacktraceFrame,
  type FunctionCall,
  type FunctionHandlers,
  type FunctionHook,
  type FunctionHookOptions,
  type FunctionValue,
  hookFunction,
} from "rebox";
import { getPrototype, type ShownCall } from "./_api_calls";
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

/** Which calls are traced. */
export type TraceOptions = Pick<FunctionHookOptions, "process" | "fromOutside">;

/** Has the calls of functions recorded, and handed to a function. Modules that are not there are waited for. */
export function traceFunctions(
  functions: readonly TracedFunctions[],
  onCalls: NonNullable<FunctionHandlers["onCalls"]>,
  options: TraceOptions,
): FunctionHook[] {
  return hookAll(functions, { onCalls }, options);
}

/**
 * The same with the functions that have led to each call, the nearest first: each is looked up while the program is held, which takes
 * some milliseconds.
 */
export function traceStacks(
  functions: readonly TracedFunctions[],
  onCall: (call: ShownCall & TracedCall, stack: readonly BacktraceFrame[]) => void,
  options: TraceOptions,
): FunctionHook[] {
  const onEnter = (call: FunctionCall): void => {
    call.data = { args: call.args, stack: backtrace(call.cpuIndex).slice(1) } satisfies Beginning;
  };
  const onLeave = (call: FunctionCall): void => {
    const { args, stack } = call.data as Beginning;
    const { name, module, rawArgs, result, abandoned, pgd, pid, tid, returnAddress, caller, durationMs } = call;
    const { parameters } = getPrototype(name);
    const ended = call.args;
    const shown = args.map((value, index) => (parameters[index]?.isOut === true ? ended[index] : value));
    const facts = { name, module, args: shown, rawArgs, result, abandoned, pgd, pid, tid, returnAddress, caller };
    onCall({ ...facts, durationMs }, stack);
  };
  return hookAll(functions, { onEnter, onLeave }, options);
}

/** The facts of a call beside those that are shown of it. */
export type TracedCall = Pick<FunctionCall, "module" | "pid" | "tid" | "durationMs">;

/** What is noted when a call begins. */
interface Beginning {
  readonly args: readonly FunctionValue[];
  readonly stack: readonly BacktraceFrame[];
}

function hookAll(
  functions: readonly TracedFunctions[],
  handlers: FunctionHandlers,
  options: TraceOptions,
): FunctionHook[] {
  return functions.map(({ module, name }) => {
    const isAll = name === "*" && C_LIBRARY.includes(module);
    const describe = (found: string) => (PROTOTYPES.get(found) ?? (isAll ? undefined : UNKNOWN_PROTOTYPE))?.description;
    // As a pattern, it waits for a module without complaint.
    return hookFunction(module, name, handlers, { ...options, describe });
  });
}
