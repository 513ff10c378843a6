/** Shows calls of functions as lines of text; for api_trace. */
import type { FunctionCall, FunctionValue } from "rebox";
import { type Prototype, PROTOTYPES, type PrototypePart, UNKNOWN_PROTOTYPE } from "./_prototypes";
import { escape, hex } from "./_system_call_arguments";

const LONGEST_TEXT = 200;
const MOST_BYTES = 32;
/** The callers that are remembered of one process. */
const MOST_CALLERS = 10_000;

/** Gets what is known of a function; of others six words are shown. */
export function getPrototype(name: string): Prototype {
  return PROTOTYPES.get(name) ?? UNKNOWN_PROTOTYPE;
}

/** Shows the parameters that can be read when a call begins; those that the function is to fill are left for its end. */
export function showBeginning(call: FunctionCall): (string | undefined)[] {
  const { parameters } = getPrototype(call.name);
  const values = call.args;
  return parameters.map((part, index) => (part.isOut ? undefined : show(part, values[index], call.rawArgs[index])));
}

/** Shows a call that has ended: "name(parameter, ...) = result". */
export function showCall(call: FunctionCall, beginning: readonly (string | undefined)[]): string {
  const { parameters, result, isVariadic } = getPrototype(call.name);
  const values = beginning.includes(undefined) ? call.args : [];
  const shown = parameters.map((part, index) => beginning[index] ?? showOut(call, part, values[index], index));
  if (isVariadic) shown.push("...");
  const end = call.abandoned ?? (result.type === "void" ? "" : show(result, call.result, undefined));
  return `${call.name}(${shown.join(", ")})${end === "" ? "" : ` = ${end}`}`;
}

/** Nothing was filled by a call that did not return. */
function showOut(call: FunctionCall, part: PrototypePart, value: FunctionValue, index: number): string {
  const raw = call.rawArgs[index];
  return call.abandoned === undefined ? show(part, value, raw) : raw === undefined ? "?" : showAddress(raw);
}

function show({ type, shown }: PrototypePart, value: FunctionValue, raw: bigint | undefined): string {
  if (value === null) return "NULL";
  if (value === undefined) return raw === undefined ? "?" : showAddress(raw);
  if (typeof value === "string") return quote(value, value.length > LONGEST_TEXT, LONGEST_TEXT);
  if (typeof value === "object") {
    return quote(Buffer.from(value.subarray(0, MOST_BYTES)).toString("latin1"), value.length > MOST_BYTES, MOST_BYTES);
  }
  if (type === "pointer") return showAddress(value as bigint);
  if (shown === "flags") return `0x${(value as number).toString(16)}`;
  if (shown === "mode") return `0${(value as number).toString(8)}`;
  return String(value);
}

function showAddress(address: bigint): string {
  return address === 0n ? "NULL" : hex(address);
}

function quote(text: string, isCut: boolean, length: number): string {
  return `"${escape(text.slice(0, length))}"${isCut ? "..." : ""}`;
}

/** Remembers who calls from where: finding a name takes longer than all else. */
export class Callers {
  readonly #known = new Map<bigint, Map<bigint, string>>();

  /** Shows the function that called. */
  show(call: FunctionCall): string {
    const { pgd, returnAddress } = call;
    let own = this.#known.get(pgd);
    if (own === undefined || own.size >= MOST_CALLERS) this.#known.set(pgd, (own = new Map<bigint, string>()));
    let text = own.get(returnAddress);
    if (text === undefined) own.set(returnAddress, (text = describe(call)));
    return text;
  }

  /** Forgets a process: it has begun another program, or mapped something else. */
  forget(pgd: bigint): void {
    this.#known.delete(pgd);
  }
}

function describe({ caller, returnAddress }: FunctionCall): string {
  if (caller === undefined) return hex(returnAddress);
  const { name, module, offset } = caller;
  return name === "" ? `${module}+0x${offset.toString(16)}` : `${module}!${name}+0x${offset.toString(16)}`;
}
