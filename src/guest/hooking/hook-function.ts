import { CallbackManager } from "../../machine/callbacks/callback-manager";
import { Engine } from "../../machine/engine/engine";
import { MemoryResult } from "../../machine/engine/native";
import { ModuleOwner } from "../../machine/ownership/module-owner";
import { findModuleHandle } from "../../machine/ownership/module-owners";
import { readCpu } from "../../machine/state/cpu";
import { memoryAccess, writeVa } from "../../machine/state/memory";
import { getRunningProcess } from "../../machine/state/processes";
import { findSystem } from "../guest";
import { vaToSym } from "../operating-system";
import { findFunctions, findThreadPlaces } from "./find-functions";
import type { FunctionHook } from "./function-hook";
import { FunctionHooks } from "./function-hooks";
import type { HookAccess } from "./hook-access";
import type { FunctionHookOptions } from "./hook-options";
import type { FunctionHandlers } from "./hooked-function";

const common = new ModuleOwner("rebox");
const hooksOf = new WeakMap<ModuleOwner, FunctionHooks>();

/**
 * Calls functions of a script when a function of the guest is called, and when that call ends: in all processes that have the module
 * now, and in each that loads it later, before it can call anything of it.
 *
 * @param module the name or the path of a program or library, as getModuleList() gives it, in which * and ? stand for others; the same
 *   behind "!", for all programs and libraries that do not match; a module of the kernel; or "kernel"
 * @param name the function's name; with * or ? all functions that others can call and whose names match; or its distance from the
 *   beginning of the module, for a function without a name
 * @param handlers onEnter(call) and onLeave(call), one or both
 * @param options types of parameters and result, and which processes
 * @param owner the script that the hook goes with; a script need not give it
 * @returns the hook, which says where it is set, and can be removed
 * @throws HookError for what makes no hook, and when the module is there and has no such function; EngineUsageError without a machine
 */
export function hookFunction(
  module: string,
  name: string | bigint,
  handlers: FunctionHandlers,
  options: FunctionHookOptions = {},
  owner: ModuleOwner = common,
): FunctionHook {
  owner.check();
  let hooks = hooksOf.get(owner);
  if (hooks === undefined) hooksOf.set(owner, (hooks = new FunctionHooks(createAccess(owner))));
  return hooks.add(module, name, handlers, options);
}

/** Hands over the calls that were recorded for hooks of a script until now. @throws what a hook's function has thrown */
export function takeRecordedCalls(owner: ModuleOwner): void {
  hooksOf.get(owner)?.take();
}

function createAccess(owner: ModuleOwner): HookAccess {
  return {
    createCallbacks: () => new CallbackManager(findModuleHandle(owner) ?? 0, owner),
    getRunningProcess,
    readCpu,
    read: (pgd, address, into) => memoryAccess.readVirtual(pgd, address, into) === MemoryResult.Ok,
    write: writeVa,
    decodeText: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"),
    findFunctions,
    findName: vaToSym,
    findThreadPlaces,
    findSystemKind: () => findSystem()?.kind,
    callLater: (call, delayMs) => callLater(owner, call, delayMs),
  };
}

/** Calls a function of hooks, whose errors are those of a callback of the script. */
function callLater(owner: ModuleOwner, call: () => void, delayMs: number): void {
  const timer = setTimeout(() => {
    owned.release();
    try {
      call();
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      const facts = { callback: "hookFunction", script: owner.name, error, count: 1, removed: false };
      Engine.find()?.emit("callbackError", facts);
    }
  }, delayMs).unref();
  const owned = owner.own(() => clearTimeout(timer));
}
