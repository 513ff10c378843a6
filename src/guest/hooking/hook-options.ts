import { findNearestName } from "../../config/nearest-name";
import { HookError } from "../errors";
import type { FunctionDescription, FunctionHandlers } from "./hooked-function";
import { isValueType, type ParameterType, VALUE_TYPES } from "./values/value-types";

/** A process of the guest, by its number and its address space. */
export interface HookedProcess {
  readonly pid: number;
  readonly pgd: bigint;
}

/** The properties of a hook, besides its place and its functions. */
export interface FunctionHookOptions extends FunctionDescription {
  /**
   * The process: its number (a number), its address space (a bigint, the pgd that callbacks give), or a function that says of each
   * process whether it is one. All processes by default. A number stays the same when the process begins another program; an address
   * space does not.
   */
  readonly process?: number | bigint | ((process: HookedProcess) => boolean);
  /** Leaves out calls from the module that the function itself is in. */
  readonly fromOutside?: boolean;
  /**
   * Gives the types of each function that a pattern finds, and says which of them are wanted: a function for which it returns undefined
   * is not hooked.
   */
  readonly describe?: (name: string, module: string) => FunctionDescription | undefined;
  /** With onCalls: how much is kept of a text, in bytes, up to 65535; 1024 by default. */
  readonly maxTextBytes?: number;
  /** With onCalls: how much is kept of other bytes that a parameter points to, up to 65535; 64 by default. */
  readonly maxBytes?: number;
}

const HANDLERS = ["onEnter", "onLeave", "onCalls"] as const;
const OPTIONS = [
  ...["process", "fromOutside", "describe", "parameters", "returns", "filled", "maxTextBytes", "maxBytes"],
] as const;
/** More than this a record has no room for. */
const MOST_RECORDED = 0xffff;
const LARGEST_OFFSET = 1n << 48n;

/** Checks what a hook was given. @throws HookError that says what is wrong, and what is accepted */
export function checkHook(
  module: unknown,
  name: unknown,
  handlers: FunctionHandlers,
  options: FunctionHookOptions,
): void {
  const fail = (text: string): never => {
    throw new HookError(`hookFunction(${show(module)}, ${show(name)}): ${text}`);
  };
  if (typeof module !== "string" || module === "") {
    fail('the module is the name or path of a program or library as text, such as "libc.so.6", or "kernel"');
  }
  if (typeof name === "bigint" ? name < 0n || name > LARGEST_OFFSET : typeof name !== "string" || name === "") {
    fail(
      'the function is a name as text, such as "malloc", in which * and ? stand for others, or a place in the module as bigint',
    );
  }
  checkNames("the functions", handlers, HANDLERS, fail);
  for (const key of HANDLERS) {
    if (handlers[key] !== undefined && typeof handlers[key] !== "function") {
      fail(`${key} is a ${typeof handlers[key]}: it must be a function`);
    }
  }
  const { onEnter, onLeave, onCalls } = handlers;
  if (onEnter === undefined && onLeave === undefined && onCalls === undefined) {
    fail("neither onEnter nor onLeave nor onCalls is given, so nothing would be called");
  }
  if (onCalls !== undefined && (onEnter !== undefined || onLeave !== undefined)) {
    fail("onCalls takes calls after they have ended, in place of onEnter and onLeave: set another hook for those");
  }
  checkNames("the options", options, OPTIONS, fail);
  const { process, fromOutside, describe, maxTextBytes, maxBytes } = options;
  if (process !== undefined && !["number", "bigint", "function"].includes(typeof process)) {
    fail(
      `process is a ${typeof process}: a pid is a number, a pgd a bigint, or a function says of each whether it is one`,
    );
  }
  if (fromOutside !== undefined && typeof fromOutside !== "boolean") fail("fromOutside must be true or false");
  if (describe !== undefined && typeof describe !== "function") fail("describe must be a function");
  for (const [key, value] of Object.entries({ maxTextBytes, maxBytes })) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 0 && value <= MOST_RECORDED)) {
      fail(`${key} is ${show(value)}: a number of bytes from 0 to ${MOST_RECORDED}`);
    }
  }
  checkDescription(options, fail);
}

/** Checks the types of a function. @param fail throws the error */
export function checkDescription(
  { parameters, returns, filled }: FunctionDescription,
  fail: (text: string) => never,
): void {
  if (parameters !== undefined && !Array.isArray(parameters)) fail("parameters must be a list of types");
  parameters?.forEach((type, index) => checkType(`parameters[${index}]`, type, parameters.length, fail));
  if (returns !== undefined && !isValueType(returns)) fail(`returns is ${show(returns)}: ${adviseType(returns)}`);
  if (filled === undefined) return;
  if (!Array.isArray(filled)) fail("filled must be a list of indices of parameters, from 0");
  const count = parameters?.length ?? 0;
  const wrong = filled.find((index) => !Number.isInteger(index) || index < 0 || index >= count);
  if (wrong !== undefined)
    fail(`filled has ${show(wrong)}: indices of parameters, from 0, of which there are ${count}`);
}

function checkType(what: string, type: ParameterType, count: number, fail: (text: string) => never): void {
  if (typeof type === "object" && type !== null) {
    const { bytes } = type;
    const isIndex = typeof bytes === "number" && Number.isInteger(bytes) && bytes >= 0 && bytes < count;
    if (isIndex || bytes === "result") return;
    fail(
      `${what}: bytes is ${show(bytes)}: the index of the parameter that counts them, from 0 to ${count - 1}, or "result"`,
    );
  }
  if (!isValueType(type) || type === "void") fail(`${what} is ${show(type)}: ${adviseType(type)}`);
}

function adviseType(name: unknown): string {
  const nearest = typeof name === "string" ? findNearestName(name, VALUE_TYPES) : undefined;
  return `${nearest === undefined ? "" : `did you mean ${nearest}? `}types are ${VALUE_TYPES.join(", ")}`;
}

function checkNames(what: string, value: unknown, known: readonly string[], fail: (text: string) => never): void {
  if (typeof value !== "object" || value === null) {
    fail(`${what} are a ${typeof value}: they must be an object with members of ${known.join(", ")}`);
  }
  const unknown = Object.keys(value as object).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const nearest = findNearestName(unknown, known);
  fail(
    `${what}: ${show(unknown)} is unknown; ${nearest === undefined ? "" : `did you mean ${nearest}? `}members may be ${known.join(", ")}`,
  );
}

function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "bigint" ? `0x${value.toString(16)}n` : String(value);
}
