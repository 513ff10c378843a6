// This runs first in the sandbox: it makes "rebox" and the globals, and then is the script's only way to rebox.
import { encodeMessage } from "../message-codec";
import type { OperationDescription, RawHost, RealmControl } from "../raw-host";
import { createApi } from "./api";
import { describeThrown } from "./errors";
import { setModuleHandle } from "./fast/hooks";
import { setProxy } from "./fast/structs";
import { sandboxConsole, setGlobals } from "./globals";
import { callHost, connect } from "./host-access";
import { inspect } from "./inspect";
import { ask, decode, emit, settle } from "./messages";
import { createModules } from "./node-modules";
import { createRequired } from "./required";
import { fire, timers } from "./timers";

interface LoadMessage {
  readonly name: string;
  readonly url: string;
  readonly constants: Record<string, unknown>;
  readonly types: Record<string, string>;
  /** A list of OperationDescription, as JSON. */
  readonly operations: string;
  readonly hotData: string;
}

type Factory = (module: { exports: unknown }, exports: unknown, ...rest: unknown[]) => void;

const hot: { data: unknown } = { data: {} };
let exported: Record<string, unknown> = {};

function load(factory: unknown, message: string): string {
  const { name, url, constants, types, operations: json, hotData } = decode(message) as LoadMessage;
  if (hotData !== "") hot.data = decode(hotData);
  const operations = JSON.parse(json) as OperationDescription[];
  const api = { ...createApi(constants, types, operations), hot };
  const getModule = createModules(operations, name);
  const require = (id: string) => {
    if (id === "rebox") return api;
    return id.startsWith("/") ? createRequired(id) : getModule(id);
  };
  const module = { exports: {} as unknown };
  const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = timers;
  (factory as Factory)(
    ...([module, module.exports, require, sandboxConsole, url] as const),
    ...[setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate],
  );
  exported = (module.exports ?? {}) as Record<string, unknown>;
  const kinds = Object.keys(exported).map((key) => [key, typeof exported[key]]);
  const requirements = exported["requirements"];
  // Anything else than a list of names is refused as such, not as something that cannot be passed.
  const isList = Array.isArray(requirements) && requirements.every((item) => typeof item === "string");
  return encodeMessage(["value", { kinds, requirements: isList ? requirements : requirements === undefined ? [] : 0 }]);
}

/** Returns the part of a result that its receiver is given. */
type Choice = (result: unknown) => unknown;

const chooseText: Choice = (result) => (typeof result === "string" ? result : undefined);

async function report(promise: Promise<unknown>, ticket: number, choose: Choice): Promise<void> {
  try {
    const value = choose(await promise);
    callHost("script.settle", encodeMessage([ticket, "value", value]));
  } catch (error) {
    callHost("script.settle", encodeMessage([ticket, "thrown", describeThrown(error)]));
  }
}

function readExport(name: string): string {
  const value = Object.hasOwn(exported, name) ? exported[name] : undefined;
  return encodeMessage(["value", typeof value === "function" ? ["function"] : ["value", value]]);
}

function callExport(name: string, message: string, ticket: number): string {
  return answer((exported[name] as Callable)(...(decode(message) as unknown[])), ticket, (result) => result);
}

type Callable = (...args: unknown[]) => unknown;

function invoke(name: string, message: string, ticket: number): string {
  const args = decode(message) as unknown[];
  if (name === "initialize_callbacks") {
    setModuleHandle(args[0] as number);
    args.push((text: unknown) => void ask("script.print", inspect(text)));
  }
  return answer((exported[name] as Callable)(...args), ticket, chooseText);
}

function answer(result: unknown, ticket: number, choose: Choice): string {
  if (result instanceof Promise) {
    void report(result, ticket, choose);
    return encodeMessage(["pending"]);
  }
  return encodeMessage(["value", choose(result)]);
}

/** Has an error of the script become text too. */
function guard<Args extends unknown[]>(call: (...args: Args) => string | void): (...args: Args) => string {
  return (...args) => {
    try {
      return call(...args) ?? "";
    } catch (error) {
      return encodeMessage(["thrown", describeThrown(error)]);
    }
  };
}

/**
 * Called by rebox once.
 *
 * @param proxy this realm's own Proxy, which scripts do not have
 */
export function start(host: RawHost, proxy: ProxyConstructor): RealmControl {
  connect(host);
  setProxy(proxy);
  setGlobals();
  return {
    root: Object.prototype,
    load: guard(load),
    invoke: guard(invoke),
    readExport: guard(readExport),
    callExport: guard(callExport),
    fire: guard(fire),
    settle: guard(settle),
    emit: guard(emit),
    describe: describeThrown,
    copyHotData: guard(() => encodeMessage(["value", encodeMessage(hot.data, true)])),
  };
}
