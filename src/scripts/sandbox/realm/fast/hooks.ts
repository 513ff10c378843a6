import { Buffer } from "buffer/";
import { MemoryResult } from "../../../../machine/engine/native";
import {
  type AnswerOptions,
  hookSystemCall,
  type SystemCallAnswers,
} from "../../../../guest/answers/system-call-answers";
import {
  type CpuidAccess,
  type CpuidAnswer,
  type CpuidHook,
  type CpuidOptions,
  type CpuidQuestion,
  hookCpuid,
} from "../../../../guest/answers/cpuid-answers";
import type { FunctionHook } from "../../../../guest/hooking/function-hook";
import { FunctionHooks } from "../../../../guest/hooking/function-hooks";
import type { FoundFunctions, HookAccess, ThreadPlaces } from "../../../../guest/hooking/hook-access";
import type { FunctionHookOptions } from "../../../../guest/hooking/hook-options";
import type { FunctionHandlers } from "../../../../guest/hooking/hooked-function";
import { accessVirtual } from "../host-access";
import { ask } from "../messages";
import { timers } from "../timers";
import { CallbackManager } from "./callbacks";
import { getRunningProcess, readCpu } from "./cpu";
import { writeVa } from "./memory";

type GuestCallbacks = ReturnType<HookAccess["createCallbacks"]> & CpuidAccess["callbacks"];

let moduleHandle: number | undefined;
let hooks: FunctionHooks | undefined;

/** Notes the script's handle, which its callbacks are registered with. */
export function setModuleHandle(handle: number): void {
  moduleHandle = handle;
}

/** The same code as outside of the sandbox sets the hooks, with what the sandbox has: src/guest/hooking/hook-function.ts. */
export function hookFunction(
  module: string,
  name: string | bigint,
  handlers: FunctionHandlers,
  options: FunctionHookOptions = {},
): FunctionHook {
  hooks ??= new FunctionHooks(createAccess());
  return hooks.add(module, name, handlers, options);
}

/** As outside of the sandbox: src/guest/answers/answer-system-call.ts. */
export function answerSystemCall(
  name: string,
  answers: SystemCallAnswers | NonNullable<SystemCallAnswers["before"]>,
  options: AnswerOptions = {},
): FunctionHook {
  return hookSystemCall(name, answers, options, hookFunction, {
    write: writeVa,
    isSystemKnown: () => ask("hooks.findSystemKind") !== undefined,
  });
}

/** As outside of the sandbox: src/guest/answers/answer-cpuid.ts. */
export function answerCpuid(answer: (question: CpuidQuestion) => CpuidAnswer, options: CpuidOptions = {}): CpuidHook {
  return hookCpuid(answer, options, { callbacks: createCallbacks(), getRunningProcess });
}

function createCallbacks(): GuestCallbacks {
  if (moduleHandle !== undefined) return new CallbackManager(moduleHandle) as never;
  throw new Error("set hooks in initialize_callbacks(), or later: before it the script has no callbacks");
}

function createAccess(): HookAccess {
  return {
    createCallbacks,
    getRunningProcess,
    readCpu: readCpu as never,
    read: (pgd, address, into) => accessVirtual("readVirtual", pgd, address, into) === MemoryResult.Ok,
    write: writeVa,
    decodeText: (bytes) =>
      Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength).toString("utf8"),
    findFunctions: (pgd, base, which) => ask("hooks.findFunctions", pgd, base, which) as FoundFunctions,
    findName: (pgd, address) => ask("vaToSym", pgd, address) as never,
    findThreadPlaces: () => ask("hooks.findThreadPlaces") as ThreadPlaces | undefined,
    findSystemKind: () => ask("hooks.findSystemKind") as string | undefined,
    callLater: (call, delayMs) => void timers.setTimeout(call, delayMs),
  };
}
