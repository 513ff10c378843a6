import { relative, resolve, sep } from "node:path";
import { CallbackManager } from "../../../machine/callbacks/callback-manager";
import { compileStreamOptions } from "../../../machine/callbacks/callback-options";
import type { CallbackOptions, StreamOptions } from "../../../machine/callbacks/callback-types";
import { EventBatch, type StreamType } from "../../../machine/callbacks/event-batch";
import { findTriggerFile } from "../../../machine/callbacks/trigger-file";
import type { TriggerValue } from "../../../machine/callbacks/triggers";
import { getProjectFolder } from "../../../config/folders";
import { member, operation, type Operations } from "../operation";
import type { ScriptSession } from "../script-session";

/** Triggers of rebox's own that write files, whose names a script would choose. */
const WRITING_TRIGGERS = ["trigger_block_user_only_coverage"];
const MANAGER = ["number"] as const;

/** The class CallbackManager: a manager of rebox's for each of the script's. Registering takes a way of its own, below. */
export const CALLBACK_OPERATIONS: Operations = {
  "callbacks.create": operation(["any"], createManager),
  "callbacks.describeBatch": operation(["any", "any"], (_session, type, options) => {
    // Checked before a batch is made of them, and again when the stream is registered.
    compileStreamOptions(type as StreamType, options as StreamOptions);
    const { capacity, columns } = options as StreamOptions;
    return describeBatch(new EventBatch(type as StreamType, capacity, columns));
  }),
  "CallbackManager.generateCallbackName": member(MANAGER, ["text"], (session, id, name) =>
    session.managers.get(id).generateCallbackName(name),
  ),
  "CallbackManager.rmCallback": member(MANAGER, ["text"], (session, id, name) =>
    session.managers.get(id).rmCallback(name),
  ),
  "CallbackManager.callbackExists": member(MANAGER, ["text"], (session, id, name) =>
    session.managers.get(id).callbackExists(name),
  ),
  "CallbackManager.addTrigger": member(MANAGER, ["text", "text"], (session, id, name, path) => {
    checkTrigger(session, path);
    session.managers.get(id).addTrigger(name, path);
  }),
  "CallbackManager.rmTrigger": member(MANAGER, ["text"], (session, id, name) =>
    session.managers.get(id).rmTrigger(name),
  ),
  "CallbackManager.setTriggerVar": member(MANAGER, ["text", "text", "any"], (session, id, name, variable, value) =>
    session.managers.get(id).setTriggerVar(name, variable, value as TriggerValue),
  ),
  "callbacks.getTriggerVar": operation(["number", "text", "text"], (session, id, name, variable) =>
    session.managers.get(id).getTriggerVar(name, variable),
  ),
  "CallbackManager.callTriggerFunction": member(MANAGER, ["text", "text"], (session, id, name, called) =>
    session.managers.get(id).callTriggerFunction(name, called),
  ),
  "CallbackManager.clean": member(MANAGER, [], (session, id) => session.managers.get(id).clean()),
};

/**
 * Registers a callback or a stream, whose function the engine calls directly.
 *
 * @param listener a function of the sandbox: nothing but the engine may call it, and nothing may look at it
 * @returns its name
 */
export function register(
  session: ScriptSession,
  [kind, id, type, options]: readonly unknown[],
  listener: (...args: never[]) => unknown,
): string {
  session.owner.check();
  const manager = session.managers.get(Number(id));
  if (kind === "stream") {
    const handler = listener as unknown as (batch: EventBatch) => void;
    return manager.addStream(type as StreamType, handler, options as StreamOptions);
  }
  return manager.addCallback(type as "BLOCK_BEGIN_CB", listener as never, options as CallbackOptions);
}

function createManager(session: ScriptSession, moduleHandle: unknown): number {
  if (session.moduleHandle === undefined) {
    throw new Error("create the CallbackManager in initialize_callbacks(), with the handle that it is given");
  }
  if (moduleHandle !== session.moduleHandle) {
    throw new RangeError(`module handle ${String(moduleHandle)} is not this script's: it is ${session.moduleHandle}`);
  }
  return session.managers.add(new CallbackManager(session.moduleHandle, session.owner));
}

/** A trigger is native code, so a script in the sandbox may have rebox's own only. */
function checkTrigger(session: ScriptSession, path: string): void {
  const { source, library } = findTriggerFile(path, session.owner.folder);
  const below = relative(resolve(getProjectFolder(), "triggers"), source ?? library);
  const isOwn = source !== undefined && !below.startsWith("..") && !below.includes(sep);
  const writes = WRITING_TRIGGERS.some((name) => below.startsWith(name));
  if (!session.permissions.triggers && (!isOwn || writes)) session.refuse(`the trigger ${path}`, "triggers");
}

function describeBatch(batch: EventBatch) {
  const { capacity, cpu, size, pc, pgd, address, physical, data, number } = batch;
  const columns = Object.entries({ cpu, size, pc, pgd, address, physical, data, number });
  return { capacity, lengths: Object.fromEntries(columns.map(([name, column]) => [name, column.length])) };
}
