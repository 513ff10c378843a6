import type { ModuleOwner } from "../../machine/ownership/module-owner";
import { writeVa } from "../../machine/state/memory";
import { findSystem } from "../guest";
import type { FunctionHook } from "../hooking/function-hook";
import { hookFunction } from "../hooking/hook-function";
import { type AnswerOptions, hookSystemCall, type SystemCallAnswers } from "./system-call-answers";

/**
 * Answers a system call in place of the kernel, or changes its result: in all processes, or in some. Linux with the wrappers of system
 * calls that it has since 4.17.
 *
 * @param name of the call, as listSystemCalls() gives it: "openat"
 * @param answers a function that is asked before the kernel is, or an object with before(call), after(call, result) or both; what they
 *   return is the program's result, undefined leaves the kernel's own
 * @param options process: as in hookFunction()
 * @param owner the script that the answers go with; a script need not give it
 * @returns the hook, which counts calls, and can be removed
 * @throws HookError when nothing would be called, and when the kernel has no such call; EngineUsageError without a machine
 */
export function answerSystemCall(
  name: string,
  answers: SystemCallAnswers | NonNullable<SystemCallAnswers["before"]>,
  options: AnswerOptions = {},
  owner?: ModuleOwner,
): FunctionHook {
  const hook = (...[module, wanted, handlers, chosen]: Parameters<Parameters<typeof hookSystemCall>[3]>) =>
    hookFunction(module, wanted, handlers, chosen, owner);
  return hookSystemCall(name, answers, options, hook, {
    write: writeVa,
    isSystemKnown: () => findSystem() !== undefined,
  });
}
