/**
 * Lines for a script: probe(value) tries to get from a value to rebox's own realm, and prints ESCAPED when it does; `own`
 * tells whether an object is of the script's realm, by the prototypes at the end of its chain.
 */
export const PROBE = `
  import * as rebox from "rebox";
  let print: any = () => {};
  const objectPrototype = Object.prototype, getPrototypeOf = Object.getPrototypeOf;
  function isOwn(value: any): boolean {
    let last = value;
    for (let next = value; next !== null; next = getPrototypeOf(next)) last = next;
    return last === objectPrototype || last === value;
  }
  function probe(value: any, what: string): void {
    if ((typeof value !== "object" && typeof value !== "function") || value === null) return;
    let escaped = false;
    // Not a constructor of this script's own: that would begin the attempt again.
    const make = (from: any) => (String(from.name).endsWith("Function") ? from("return process")() : undefined);
    try { escaped = typeof make(value.constructor.constructor).pid === "number"; } catch {}
    try { escaped ||= typeof make(value.constructor).pid === "number"; } catch {}
    try { escaped ||= typeof value.process?.pid === "number" || typeof value.mainModule === "object"; } catch {}
    try { escaped ||= !isOwn(value); } catch {}
    if (escaped) print("ESCAPED: " + what);
  }
  function walk(start: any, name: string): number {
    const seen = new Set<any>();
    const queue: [any, string][] = [[start, name]];
    // What a getter makes anew each time has no end.
    for (let at = 0; at < queue.length && seen.size < 5000; at++) {
      const next = queue[at]!;
      const [value, path] = next;
      if ((typeof value !== "object" && typeof value !== "function") || value === null || seen.has(value)) continue;
      seen.add(value);
      probe(value, path);
      try { queue.push([getPrototypeOf(value), path + ".__proto__"]); } catch {}
      let keys: any[] = [];
      try { keys = Reflect.ownKeys(value); } catch {}
      for (const key of keys.slice(0, 300)) {
        let descriptor: any;
        try { descriptor = Reflect.getOwnPropertyDescriptor(value, key); } catch { continue; }
        for (const part of ["value", "get", "set"]) if (descriptor?.[part]) queue.push([descriptor[part], path + "." + String(key)]);
        try { queue.push([value[key], path + "." + String(key)]); } catch (error) { queue.push([error, path + " threw"]); }
      }
    }
    return seen.size;
  }
`;

/** Ways out of sandboxes of this kind, by what was published about them: each is the body of initialize_callbacks(). */
export const ATTEMPTS: Readonly<Record<string, string>> = {
  "whatever can be reached from the globals, rebox, the module and what they throw (constructor chains)": `
    print("walked " + (walk(globalThis, "globalThis") + walk(rebox, "rebox") + walk(module, "module")
      + walk(arguments, "arguments") + walk(require, "require")));`,
  "CallSites of Error.prepareStackTrace: getThis, getFunction (CVE-2021-23555, CVE-2022-36067, CVE-2023-29017, CVE-2023-32314)": `
    const old = Error.prepareStackTrace;
    Error.prepareStackTrace = (error: any, sites: any) => { walk(sites, "sites"); for (const site of sites) {
      for (const key of ["getThis", "getFunction", "getEvalOrigin"]) { try { probe(site[key](), key); } catch (e) { probe(e, key); } } } return ""; };
    try { null!.x; } catch (error: any) { error.stack; }
    try { rebox.getBlockCount(); } catch (error: any) { error.stack; }
    new Error().stack; Promise.reject(new Error()).catch((error) => error.stack);
    Error.captureStackTrace({}); Error.prepareStackTrace = old;`,
  "Error.prepareStackTrace and stackTraceLimit of every kind of value, and through the prototype": `
    for (const value of [undefined, null, 1, {}, Symbol.iterator]) { try { (Error as any).prepareStackTrace = value; new Error().stack; }
      catch (error) { probe(error, "prepareStackTrace"); } }
    Object.defineProperty(Object.prototype, "prepareStackTrace", { configurable: true, get() { probe(this, "this"); return undefined; } });
    try { null!.x; } catch (error: any) { probe(error.stack, "stack"); }
    delete (Object.prototype as any).prepareStackTrace;`,
  "an error of rebox's realm out of a stack overflow (CVE-2019-10761)": `
    const calls = [() => rebox.readPa(1n, 1), () => rebox.getBlockCount(), () => require("fs"), () => print("x".repeat(0)),
      () => new rebox.CallbackManager(h), () => rebox.saveVm("x"), () => setTimeout(() => {}, 1e9), () => console.log(),
      () => Buffer.alloc(10), () => rebox.viewPa(1n, 1), () => structuredClone({}), () => new Error().stack, () => require("path").join("a", "b")];
    for (const call of calls) {
      let budget = 200;
      const dive = (): void => { try { dive(); } catch {} if (budget-- > 0) { try { call(); } catch (error) { probe(error, String(call)); walk(error, String(call)); } } };
      try { dive(); } catch (error) { probe(error, "dive"); }
    }`,
  "an error with a symbol as its name (CVE-2023-29199, CVE-2023-30547)": `
    const error: any = new Error(); error.name = Symbol();
    try { error.stack; String(error.stack); } catch (e) { probe(e, "stack"); walk(e, "stack"); }
    try { throw error; } catch (e) { probe(e, "thrown"); }
    rebox.saveVm(error).catch((e) => walk(e, "argument"));`,
  "proxies, of which there are none (CVE-2023-30547), and objects that run code when they are looked at": `
    if (typeof Proxy !== "undefined") print("ESCAPED: there is a Proxy");
    const bait: any = function () {};
    for (const key of ["length", "message", "stack", "then", "toString", "valueOf", "toJSON", "code", Symbol.toPrimitive, Symbol.iterator, Symbol.toStringTag])
      Object.defineProperty(bait, key, { configurable: true, get() { probe(this, "this"); return (...given: any[]) => { given.forEach((value) => probe(value, "given to " + String(key))); throw bait; }; } });
    for (const give of [() => { throw bait; }, () => print(bait), () => console.log(bait), () => rebox.readPa(bait, bait),
      () => rebox.readVa(bait, bait, bait), () => new rebox.CallbackManager(bait), () => rebox.sendKey(bait), () => setTimeout(bait, bait),
      () => require(bait), () => rebox.writePa(1n, bait), () => rebox.Engine.get(), () => Buffer.from(bait), () => structuredClone(bait)]) {
      try { const got: any = give(); probe(got, String(give)); got?.catch?.((e: any) => walk(e, String(give))); } catch (error) { if (error !== bait) walk(error, String(give)); }
    }
    (rebox as any).hot.data = bait;`,
  "promises: species, a then of one's own, constructor, and what async functions reject with (CVE-2023-37466, CVE-2026-22709)": `
    class Mine extends Promise<any> { constructor(executor: any) { super((resolve, reject) => { probe(resolve, "resolve"); probe(reject, "reject"); executor(resolve, reject); }); }
      static get [Symbol.species]() { return function (executor: any) { walk(executor, "executor"); executor((x: any) => probe(x, "x"), (x: any) => probe(x, "x")); } as any; } }
    const fail = async () => { const error: any = new Error(); error.name = Symbol(); return error.stack; };
    const bad = fail(); (bad as any).constructor = Mine;
    bad.then((x) => probe(x, "then"), (x) => walk(x, "rejected")).catch((x) => walk(x, "catch"));
    for (const promise of [rebox.saveVm("x"), rebox.importModule("nothing"), rebox.sendKey("a"), fail()]) {
      (promise as any).constructor = Mine;
      try { promise.then((x) => walk(x, "value"), (x) => walk(x, "reason")); } catch (error) { walk(error, "then"); }
    }
    return { then(resolve: any, reject: any) { walk(resolve, "resolve"); walk(reject, "reject"); resolve(); } };`,
  "async generators and yield* over objects of one's own (CVE-2026-45411)": `
    const odd = { [Symbol.asyncIterator]() { return { next(x: any) { probe(x, "next"); return { get then() { return (a: any, b: any) => { walk(a, "a"); walk(b, "b"); a({ done: true }); }; } }; },
      return(x: any) { probe(x, "return"); return { then(a: any) { walk(a, "a"); a({ done: true }); } }; }, throw(x: any) { walk(x, "throw"); return {}; } }; } };
    async function* generate(): any { try { yield* odd as any; } catch (error) { walk(error, "caught"); } }
    const running = generate(); running.next().then((x: any) => walk(x, "x"), (x: any) => walk(x, "x"));
    running.throw(new Error()).catch((x: any) => walk(x, "x")); running.return({ then(a: any, b: any) { walk(a, "a"); walk(b, "b"); a(); } });`,
  "util.inspect.custom and other hooks of Node's on what is shown (CVE-2023-32313, CVE-2023-37903)": `
    const hooked: any = {}; const bend = (...given: any[]) => { given.forEach((value) => walk(value, "bent")); return ""; };
    for (const symbol of [Symbol.for("nodejs.util.inspect.custom"), Symbol.for("nodejs.rejection"), Symbol.toPrimitive, Symbol.toStringTag,
      Symbol.for("nodejs.util.promisify.custom"), Symbol.hasInstance, Symbol.isConcatSpreadable, Symbol.unscopables])
      hooked[symbol] = (...given: any[]) => { given.forEach((value) => { walk(value, "hook"); try { value.defaultOptions = value.stylize = bend; } catch {} }); return ""; };
    hooked.inspect = hooked.toJSON = hooked.toString = hooked.valueOf = hooked[Symbol.for("nodejs.util.inspect.custom")];
    for (const show of [() => print(hooked), () => console.error("%o", hooked), () => print([hooked]), () => console.log(hooked)]) { try { show(); } catch (error) { walk(error, "show"); } }
    setTimeout(() => { throw hooked; }, 1);
    Promise.reject(hooked);`,
  "methods of prototypes exchanged for ones that look at what passes (CVE-2022-25893, CVE-2026-44008)": `
    const spied: [any, any, any][] = [];
    for (const [owner, keys] of [[Array.prototype, ["push", "map", "forEach", "slice", "join", Symbol.iterator, "includes", "reverse"]], [Map.prototype, ["get", "set", "has", "delete"]],
      [WeakMap.prototype, ["get", "set", "has"]], [Set.prototype, ["add", "has"]], [Function.prototype, ["call", "apply", "bind"]], [Promise.prototype, ["then", "catch"]],
      [JSON, ["parse", "stringify"]], [Reflect, ["apply", "get", "ownKeys", "construct"]], [Object, ["assign", "entries", "keys", "hasOwn", "defineProperty", "getPrototypeOf"]], [String.prototype, ["replace", "split"]],
      [Object.getPrototypeOf(Uint8Array.prototype), ["set", "subarray", "slice", "fill"]], [RegExp.prototype, ["exec", "test"]], [Number, ["isInteger"]], [Buffer, ["from", "alloc"]]] as any[])
      for (const key of keys) { const original = owner[key]; if (typeof original !== "function") continue; spied.push([owner, key, original]); }
    const { apply } = Reflect; let isBusy = false; const found: any[] = [];
    for (let i = 0; i < spied.length; i++) { const [owner, key, original] = spied[i]!; owner[key] = function (this: any) {
      if (!isBusy) { isBusy = true; found[found.length] = this; for (let j = 0; j < arguments.length; j++) found[found.length] = arguments[j]; isBusy = false; }
      return apply(original, this, arguments); }; }
    Object.defineProperty(Array.prototype, 0, { configurable: true, set(value) { found[found.length] = value; Object.defineProperty(this, 0, { value, writable: true, configurable: true, enumerable: true }); } });
    for (const call of [() => rebox.readPa(1n, 1), () => rebox.listModules(), () => new rebox.CallbackManager(h).addCallback("BLOCK_BEGIN_CB", () => {}), () => rebox.viewPa(1n, 8),
      () => print({ a: [1] }), () => setTimeout(() => {}, 1), () => rebox.saveVm("x").catch(() => {}), () => require("fs"), () => new rebox.CallbackManager(h).addStream("BLOCK_BEGIN_CB", () => {})]) { try { call(); } catch (error) { found[found.length] = error; } }
    delete (Array.prototype as any)[0];
    for (let i = 0; i < spied.length; i++) { const [owner, key, original] = spied[i]!; owner[key] = original; }
    for (let i = 0; i < found.length; i++) { probe(found[i], "passed by " + i); }
    print("spied " + found.length);`,
  "getters and setters on Object.prototype that rebox's code would run into": `
    for (const key of ["then", "timeout", "name", "stack", "code", "message"]) {
      Object.defineProperty(Object.prototype, key, { configurable: true, get() { probe(this, key); return undefined; }, set(value) { probe(this, key); probe(value, key); Object.defineProperty(this, key, { value, writable: true, configurable: true, enumerable: true }); } });
    }
    try { rebox.listModules(); new rebox.CallbackManager(h); rebox.saveVm("x").catch(() => {}); } catch (error) { probe(error, "error"); }
    for (const key of ["then", "timeout", "name", "stack", "code", "message"]) delete (Object.prototype as any)[key];`,
  "callers of a function that is not strict, and its arguments": `
    const sloppy = sandboxedSloppy; probe(sloppy(), "caller"); probe((sloppy as any).caller, "caller");
    try { probe((function () { return arguments.callee.caller; })(), "callee"); } catch (error) { probe(error, "callee"); }`,
  "code from text: Function of every kind, eval, timers with text, import() (CVE-2021-23449)": `
    for (const make of [() => (0, eval)("this"), () => new Function("return this")(), () => (async () => {}).constructor("return this")(),
      () => (function* () {}).constructor("return this")(), () => setTimeout("1" as any), () => import("node:fs" as any), () => Reflect.construct(Function, ["return process"])()]) {
      try { const got: any = make(); if (got !== globalThis) walk(got, String(make)); got?.then?.((x: any) => walk(x, "import"), (x: any) => walk(x, "import")); } catch (error) { walk(error, String(make)); } }`,
  "getters of Object.prototype and Buffer's oddities (GHSA-47x8-96vw-5wg6, GHSA-grj5-jjm8-h35p)": `
    const lookup = ({} as any).__lookupGetter__; const apply = (Buffer as any).apply;
    const get = apply.apply(lookup, [Buffer, ["__proto__"]]);
    let value: any = Buffer.of(1); for (let i = 0; i < 6 && value; i++) { walk(value, "proto " + i); value = get.call(value); }
    for (const symbol of Object.getOwnPropertySymbols(Buffer.prototype)) probe((Buffer.prototype as any)[symbol], "symbol");
    try { (Buffer.from([1]) as any).inspect?.(20, { showProxy: true, stylize(a: any) { walk(this, "this"); return a; } }); } catch (error) { walk(error, "inspect"); }
    const list: any = []; list.constructor = { [Symbol.species]: function () { return list; } }; list.map((x: any) => x); print(list.concat([rebox]) === list ? "" : "same");`,
  "modules of Node's that lead out, by every name that they have (CVE-2026-43999, CVE-2026-47140)": `
    const names = ["module", "process", "inspector", "inspector/promises", "worker_threads", "cluster", "vm", "repl", "v8", "child_process", "fs", "fs/promises",
      "net", "wasi", "async_hooks", "diagnostics_channel", "trace_events", "test", "test/reporters", "sea", "sqlite", "dgram", "dns", "http", "https", "http2", "tls", "os", "domain",
      "perf_hooks", "sys", "util/types", "timers", "timers/promises", "_http_agent", "_stream_wrap", "internal/bootstrap/realm"];
    for (const name of names.flatMap((one) => [one, "node:" + one, "./node_modules/" + one, "node:node:" + one])) {
      let got: any;
      try { got = require(name); } catch (error) { walk(error, name); continue; }
      walk(got, name);
      for (const key of ["_load", "createRequire", "spawn", "Session", "Worker", "runInThisContext", "readFileSync", "connect", "setFlagsFromString", "binding", "dlopen"]) {
        let part: any; try { part = got[key]; } catch {}
        if (typeof part === "function") { try { part("x"); print("ESCAPED: " + name + "." + key); } catch (error) { walk(error, name + "." + key); } }
      }
    }`,
  "what a promise of rebox's resolves or rejects with, and a promise that nobody catches (CVE-2026-44000, CVE-2026-44001)": `
    const own = Promise.prototype.then, seen: any[] = [];
    const calls = [() => rebox.importModule("nothing"), () => rebox.saveVm("x"), () => rebox.sendKey("a"), () => rebox.waitForGuest(), () => import(String("x"))];
    for (const call of calls) { try { const promise: any = call(); probe(promise, String(call)); walk(promise, String(call)); own.call(promise, (x: any) => walk(x, "value"), (x: any) => walk(x, "reason")); } catch (error) { walk(error, String(call)); } }
    new Promise(() => { const error: any = new Error(); error.name = Symbol(); error.stack; });
    new Promise((_, reject) => reject({ get stack() { walk(this, "stack"); throw this; }, get message() { throw this; }, toString() { throw this; } }));
    Promise.reject(null); Promise.reject(Object.create(null)); Promise.any([]);`,
  "getters and setters at indexes of Array.prototype, and species, while rebox copies lists (CVE-2026-44008)": `
    // No list of its own: that would run into them too.
    let seen: any = null, count = 0; const note = (value: any) => { if (count++ < 500) seen = { value, next: seen }; };
    for (const index of [0, 1, 2]) Object.defineProperty(Array.prototype, index, { configurable: true, get() { note(this); return undefined; },
      set(value) { note(this); note(value); Object.defineProperty(this, index, { value, writable: true, configurable: true, enumerable: true }); } });
    const species = { get [Symbol.species]() { return function (this: any) { note(this); return {}; }; } };
    Object.defineProperty(Array.prototype, "constructor", { configurable: true, get() { note(this); return species; } });
    const attempt = (call: () => any) => { try { note(call()); } catch (error) { note(error); } };
    attempt(() => rebox.listModules()); attempt(() => rebox.listCallbacks()); attempt(() => rebox.readPa(1n, 4)); attempt(() => print({ a: 1 }));
    attempt(() => console.log("a", "b")); attempt(() => rebox.getProcessList()); attempt(() => new rebox.CallbackManager(h).addCallback("BLOCK_BEGIN_CB", () => {}));
    for (const index of [0, 1, 2]) delete (Array.prototype as any)[index];
    Object.defineProperty(Array.prototype, "constructor", { value: Array, writable: true, configurable: true });
    for (let next = seen; next; next = next.next) probe(next.value, "seen");`,
  "exceptions that pass through WebAssembly (CVE-2026-26956)": `
    if (typeof WebAssembly === "undefined") { print("no WebAssembly"); return; }
    for (const make of [() => (WebAssembly as any).JSTag, () => new (WebAssembly as any).Exception(new (WebAssembly as any).Tag({ parameters: ["externref"] }), [{}]),
      () => WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])), () => new WebAssembly.Module(new Uint8Array(4)), () => WebAssembly.compileStreaming(0 as any)]) {
      try { const got: any = make(); walk(got, String(make)); got?.then?.((x: any) => walk(x, "wasm"), (x: any) => walk(x, "wasm")); } catch (error) { walk(error, String(make)); } }`,
};
