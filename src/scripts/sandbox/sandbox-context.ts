import { createRequire } from "node:module";
import * as nodeVm from "node:vm";
import type { RawHost, RealmControl } from "./raw-host";
import { getRealmCode } from "./realm-code";

/** vm2's objects, of which the sandbox needs more than vm2 declares. */
interface Vm2 {
  VM: new (options: object) => { _runScript(script: { runInContext(context: object): void }): void };
  VMScript: new (code: string, filename: string) => { getCompiledCode(): string };
}

/**
 * The year of the grammar of scripts. Not the latest: each new kind of statement that can catch an error has to be known to vm2,
 * and those of later years reach it in an older form (the compiler's target).
 */
const GRAMMAR = 2025;

let vm2: Vm2 | undefined;
let realm: nodeVm.Script | undefined;
/**
 * The globals that code finds, without those that the sandbox lacks. A context of node:vm looks each up through Node,
 * which takes longer than a callback: as parameters of a function around the code they cost nothing.
 */
const GLOBALS = [
  ...["Array", "ArrayBuffer", "BigInt", "BigInt64Array", "BigUint64Array", "Boolean", "DataView", "Date", "Error"],
  ...[
    "Float32Array",
    "Float64Array",
    "Int16Array",
    "Int32Array",
    "Int8Array",
    "JSON",
    "Map",
    "Math",
    "Number",
    "Object",
  ],
  ...[
    "Promise",
    "RangeError",
    "Reflect",
    "RegExp",
    "Set",
    "String",
    "Symbol",
    "TypeError",
    "Uint16Array",
    "Uint32Array",
  ],
  ...["Uint8Array", "Uint8ClampedArray", "WeakMap", "WeakSet", "isFinite", "isNaN", "parseFloat", "parseInt"],
];
/** Those that rebox's own code adds. */
const ADDED_GLOBALS = ["Buffer", "TextDecoder", "TextEncoder", "performance", "queueMicrotask", "structuredClone"];

/** Returns an expression of the same value, whose globals are parameters. */
function bindGlobals(code: string, names: readonly string[]): string {
  const list = names.join(", ");
  return `((${list}) => ${code})(${list})`;
}

const EMPTY = new nodeVm.Script("0", { filename: "rebox-drain.js" });

/** Each context's own Proxy, which vm2 takes away from scripts. */
const proxies = new WeakMap<object, unknown>();

/**
 * Loads vm2 such that its contexts have microtask queues of their own: otherwise the sandbox's promises would be carried
 * out in Node's queue, where nothing could stop one that never ends.
 */
function loadVm2(): Vm2 {
  if (vm2) return vm2;
  const { createContext } = nodeVm;
  const load = createRequire(__filename);
  const vm = load("node:vm") as { createContext: typeof createContext };
  const acorn = load("acorn") as { Parser: new (options: object, ...rest: unknown[]) => object };
  const { Parser } = acorn;
  vm.createContext = (object, options) => {
    const context = createContext(object, { ...options, microtaskMode: "afterEvaluate" });
    proxies.set(context, nodeVm.runInContext("Proxy", context));
    return context;
  };
  // vm2 reads code by the grammar of 2022: the flag v of a regular expression beside a catch would be an error.
  acorn.Parser = class extends Parser {
    constructor(options: object, ...rest: unknown[]) {
      super({ ...options, ecmaVersion: GRAMMAR }, ...rest);
    }
  };
  try {
    vm2 = load("vm2") as Vm2;
  } finally {
    vm.createContext = createContext;
    acorn.Parser = Parser;
  }
  return vm2;
}

/** One sandbox: a context that vm2 has hardened, with rebox's own code for the inside. */
export class SandboxContext {
  private readonly context: object;
  readonly control: RealmControl;

  /** @param host the functions of rebox that the inside is given */
  constructor(host: RawHost) {
    if (realm === undefined) throw new Error("SandboxContext.prepare() comes first");
    const { VM } = loadVm2();
    let context: object | undefined;
    // vm2 wraps all that leaves its context; the context itself it gives to what it takes for a script.
    new VM({ eval: false, wasm: false })._runScript({ runInContext: (given) => void (context = given) });
    this.context = context as unknown as object;
    const { start } = realm.runInContext(this.context) as { start(host: RawHost, proxy: unknown): RealmControl };
    this.control = start(host, proxies.get(this.context));
  }

  /** Compiles the code for the inside, once. */
  static async prepare(): Promise<void> {
    if (realm !== undefined) return;
    const text = await getRealmCode();
    realm = new nodeVm.Script(bindGlobals(`{ "use strict"; ${text}\nreturn realm; }`, GLOBALS), {
      filename: "rebox-realm.js",
    });
  }

  /**
   * Compiles a script's bundle and evaluates it: it is a function, which is not called.
   *
   * @param code an expression
   * @param filename shows in stacks
   * @returns the function: an object of the sandbox, to be handed to control.load() and nowhere else
   * @throws SyntaxError when the engine or vm2 refuses the code
   */
  compile(code: string, filename: string): unknown {
    const { VMScript } = loadVm2();
    const checked = new VMScript(
      bindGlobals(`(${code}\n)`, [...GLOBALS, ...ADDED_GLOBALS]),
      filename,
    ).getCompiledCode();
    return new nodeVm.Script(checked, { filename }).runInContext(this.context);
  }

  /**
   * Lets the sandbox's promises continue.
   *
   * @param limitMs after which they are cut off, and those that wait are dropped
   * @throws Error with the code ERR_SCRIPT_EXECUTION_TIMEOUT
   */
  drain(limitMs: number): void {
    EMPTY.runInContext(this.context, { timeout: limitMs, displayErrors: false });
  }
}
