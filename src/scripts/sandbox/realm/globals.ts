import { Buffer } from "buffer/";
import { decodeMessage, encodeMessage } from "../message-codec";
import { formatStack } from "./errors";
import { format } from "./inspect";
import { ask } from "./messages";
import { timers } from "./timers";

const print =
  (level: "log" | "error") =>
  (...values: unknown[]) =>
    void ask("script.write", level, format(values));

export const sandboxConsole = {
  ...{ log: print("log"), info: print("log"), debug: print("log") },
  ...{ error: print("error"), warn: print("error"), trace: print("error") },
};

class TextEncoder {
  readonly encoding = "utf-8";
  encode(text = ""): Uint8Array {
    return new Uint8Array(Buffer.from(String(text), "utf8"));
  }
}

class TextDecoder {
  constructor(readonly encoding = "utf-8") {}
  decode(bytes: Uint8Array = new Uint8Array(0)): string {
    return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength).toString(
      this.encoding as "utf8",
    );
  }
}

/** Globals of vm2's context that a script does not need: shared memory, machine code, vm2's own objects. */
const REMOVED = ["SharedArrayBuffer", "Atomics", "WebAssembly", "GLOBAL", "root", "VMError"];

/** Makes what refuses to make code of text. vm2's own would parse the text first, for which there may be no stack. */
function createRefusal(prototype: object): unknown {
  function refuse(): never {
    throw new EvalError("Code generation from strings disallowed for this context");
  }
  return Object.defineProperty(refuse, "prototype", { value: prototype });
}

/** Refuses code from text, by whichever function a script reaches. */
function refuseCode(): void {
  const kinds = [() => {}, async () => {}, function* () {}, async function* () {}];
  for (const prototype of kinds.map((kind) => Object.getPrototypeOf(kind) as object)) {
    Object.defineProperty(prototype, "constructor", { value: createRefusal(prototype) });
  }
  const names = { Function: Function.prototype.constructor, eval: createRefusal({}) };
  for (const [name, value] of Object.entries(names)) Object.defineProperty(globalThis, name, { value });
}

/** Makes the global object what scripts expect of it. */
export function setGlobals(): void {
  for (const name of REMOVED) Reflect.deleteProperty(globalThis, name);
  const globals = {
    ...timers,
    ...{ Buffer, TextEncoder, TextDecoder, console: sandboxConsole, global: globalThis },
    queueMicrotask: (callback: () => void) => void Promise.resolve().then(callback),
    structuredClone: (value: unknown) => decodeMessage(encodeMessage(value, true), (bytes) => bytes),
    performance: { now: () => ask("script.now") as number },
    atob: (text: string) => Buffer.from(text, "base64").toString("latin1"),
    btoa: (text: string) => Buffer.from(text, "latin1").toString("base64"),
  };
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
  // As Node has them, where the engine has not: `using` looks for them.
  for (const name of ["dispose", "asyncDispose"]) {
    if (!Object.hasOwn(Symbol, name)) Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) });
  }
  refuseCode();
  (Error as unknown as { prepareStackTrace: unknown }).prepareStackTrace = formatStack;
  Error.stackTraceLimit = 50;
}
