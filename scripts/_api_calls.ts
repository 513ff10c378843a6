/** Shows calls of functions as lines of text; for api_trace. */
import type { AddressName, FunctionValue, RecordedCall } from "rebox";
import { type Prototype, PROTOTYPES, type PrototypePart, UNKNOWN_PROTOTYPE } from "./_prototypes";
import { escape, hex } from "./_system_call_arguments";

const LONGEST_TEXT = 200;
const MOST_BYTES = 32;

/** What is shown of a call, whether it was recorded or its beginning and end called the script. */
export type ShownCall = Pick<
  RecordedCall,
  "name" | "args" | "rawArgs" | "result" | "abandoned" | "pgd" | "returnAddress" | "caller"
>;

/** Gets what is known of a function; of others six words are shown. */
export function getPrototype(name: string): Prototype {
  return PROTOTYPES.get(name) ?? UNKNOWN_PROTOTYPE;
}

/** Shows a call that has ended: "name(parameter, ...) = result". */
export function showCall(call: ShownCall): string {
  const { name, abandoned, args } = call;
  const { parameters, result, isVariadic } = getPrototype(name);
  let shown = "";
  for (let index = 0; index < parameters.length; index++) {
    const part = parameters[index]!;
    // Nothing was filled by a call that did not return.
    const text = part.isOut && abandoned !== undefined ? undefined : show(part, args[index]);
    shown += `${index === 0 ? "" : ", "}${text ?? showRaw(call.rawArgs[index])}`;
  }
  if (isVariadic) shown += shown === "" ? "..." : ", ...";
  const end = abandoned ?? (result.type === "void" ? "" : (show(result, call.result) ?? "?"));
  return `${name}(${shown})${end === "" ? "" : ` = ${end}`}`;
}

/** Shows a value; undefined when there is none. */
function show({ type, shown }: PrototypePart, value: FunctionValue): string | undefined {
  if (value === null) return "NULL";
  if (value === undefined) return undefined;
  if (typeof value === "string") return quote(value, value.length > LONGEST_TEXT, LONGEST_TEXT);
  if (typeof value === "object") {
    return quote(Buffer.from(value.subarray(0, MOST_BYTES)).toString("latin1"), value.length > MOST_BYTES, MOST_BYTES);
  }
  if (type === "pointer") return showAddress(value as bigint);
  if (shown === "flags") return `0x${(value as number).toString(16)}`;
  if (shown === "mode") return `0${(value as number).toString(8)}`;
  return String(value);
}

function showRaw(raw: bigint | undefined): string {
  return raw === undefined ? "?" : showAddress(raw);
}

function showAddress(address: bigint): string {
  return address === 0n ? "NULL" : hex(address);
}

function quote(text: string, isCut: boolean, length: number): string {
  return `"${escape(text.slice(0, length))}"${isCut ? "..." : ""}`;
}

const known = new WeakMap<AddressName, string>();

/** Shows the function that called. Of calls that were recorded, each place that calls has one name, which is made text once. */
export function showCaller({ caller, returnAddress }: Pick<ShownCall, "caller" | "returnAddress">): string {
  if (caller === undefined) return hex(returnAddress);
  let text = known.get(caller);
  if (text === undefined) known.set(caller, (text = showPlace(caller, 0n)));
  return text;
}

/** Shows a place in a program: "module!function+offset". */
export function showPlace(found: AddressName | undefined, address: bigint): string {
  if (found === undefined) return hex(address);
  const { name, module, offset } = found;
  return name === "" ? `${module}+0x${offset.toString(16)}` : `${module}!${name}+0x${offset.toString(16)}`;
}
