import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Engine, TRIGGER_OUTPUT_KINDS } from "../engine/engine";
import type { RegisteredCallback } from "./callback-registry";
import { TriggerError } from "../errors";
import type { ModuleOwner } from "../ownership/module-owner";
import { buildTrigger, findTriggerFile, listTriggerInputs } from "./trigger-file";
import { TriggerNames } from "./trigger-names";

/** What a trigger's variable may be set to. */
export type TriggerValue = bigint | number | string | Uint8Array;

/** By the callback: its trigger, or the last one that it had. Each has a library of its own in memory. */
const libraries = new WeakMap<RegisteredCallback, string>();

const variableNames = new WeakMap<RegisteredCallback, TriggerNames>();

/** A trigger that has thrown was removed. */
function hasTrigger({ listenerId }: RegisteredCallback): boolean {
  return Engine.get().native.hasTrigger(listenerId);
}

function requireTrigger(callback: RegisteredCallback): void {
  if (!hasTrigger(callback)) {
    throw new TriggerError(`the callback ${callback.name} has no trigger: add one with addTrigger()`);
  }
}

function reportFailure({ name }: RegisteredCallback, failure: string | undefined): void {
  if (failure !== undefined) throw new TriggerError(`the trigger of ${name} ${failure}`);
}

let isPrinterConnected = false;

function connectPrinter(): void {
  if (isPrinterConnected) return;
  isPrinterConnected = true;
  const engine = Engine.get();
  engine.native.setTriggerPrinter((kind, text) =>
    engine.emit("triggerOutput", { kind: TRIGGER_OUTPUT_KINDS[kind] ?? "text", text: text.replace(/\n$/, "") }),
  );
}

/** Loads a private copy: the loader maps one file once, and two callbacks would share its variables. */
function attachCopy(callback: RegisteredCallback, library: string): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "rebox-trigger-"));
  try {
    const copy = join(folder, basename(library));
    copyFileSync(library, copy);
    return Engine.get().native.attachTrigger(callback.listenerId, copy);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Attaches a trigger to a callback; see CallbackManager.addTrigger().
 *
 * @param owner the script of the callback: path is looked for in its folder first, and the trigger's source is noted as its own
 * @throws TriggerError with the reason, and nothing is changed
 */
export function addTrigger(callback: RegisteredCallback, path: string, owner: ModuleOwner): void {
  if (hasTrigger(callback)) {
    const attached = libraries.get(callback);
    throw new TriggerError(`the callback ${callback.name} has a trigger already, ${attached}: one is the most`);
  }
  const file = findTriggerFile(path, owner.folder);
  // Before it is compiled: what mends a source that does not compile is a change of it.
  owner.useFiles(listTriggerInputs(file));
  const library = buildTrigger(file);
  connectPrinter();
  const refusal = attachCopy(callback, library);
  if (refusal !== undefined) {
    throw new TriggerError(`${library} cannot be the trigger of ${callback.name}: ${refusal}`);
  }
  libraries.set(callback, library);
  variableNames.set(callback, new TriggerNames(library));
}

/**
 * Removes a callback's trigger, after its clean().
 *
 * @throws TriggerError when the callback has none
 */
export function removeTrigger(callback: RegisteredCallback): void {
  requireTrigger(callback);
  Engine.get().native.detachTrigger(callback.listenerId);
}

function toNative(name: string, value: TriggerValue): bigint | string | Uint8Array {
  if (typeof value === "bigint") {
    return BigInt.asUintN(64, value);
  }
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) {
      throw new TypeError(`the variable ${name} cannot be ${value}: numbers are whole; larger ones are bigint`);
    }
    return BigInt.asUintN(64, BigInt(value));
  }
  if (typeof value === "string") {
    if (value.includes("\0")) {
      throw new TypeError(`the variable ${name} cannot hold a string with a zero character: give a Uint8Array`);
    }
    return value;
  }
  if (value instanceof Uint8Array) {
    return value;
  }
  throw new TypeError(
    `the variable ${name} cannot be of type ${typeof value}: it is a bigint, number, string or Uint8Array`,
  );
}

/** A variable that the trigger itself has set is one, whatever its source looks like. */
function checkVariable(callback: RegisteredCallback, name: string): void {
  const names = variableNames.get(callback);
  if (!names || names.mayHave(name)) return;
  if (Engine.get().native.getTriggerVar(callback.listenerId, name) !== undefined) return;
  const nearest = names.findNearest(name);
  const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
  throw new TriggerError(
    `the trigger of ${callback.name} has no variable ${JSON.stringify(name)}${hint} (${libraries.get(callback)})`,
  );
}

/** Sets a variable of a callback's trigger; see CallbackManager.setTriggerVar(). */
export function setTriggerVariable(callback: RegisteredCallback, name: string, value: TriggerValue): void {
  requireTrigger(callback);
  const native = toNative(name, value);
  checkVariable(callback, name);
  reportFailure(callback, Engine.get().native.setTriggerVar(callback.listenerId, name, native));
}

/** Gets a variable of a callback's trigger; see CallbackManager.getTriggerVar(). */
export function getTriggerVariable(
  callback: RegisteredCallback,
  name: string,
): bigint | string | Uint8Array | undefined {
  requireTrigger(callback);
  return Engine.get().native.getTriggerVar(callback.listenerId, name);
}

/** Calls a function that a callback's trigger has declared; see CallbackManager.callTriggerFunction(). */
export function callTriggerFunction(callback: RegisteredCallback, name: string): void {
  requireTrigger(callback);
  reportFailure(callback, Engine.get().native.callTriggerFunction(callback.listenerId, name));
}
