import assert from "node:assert/strict";
import { rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import * as door from "../../src/doors/investigation";
import { GuestContext } from "../../src/investigation/context";
import { InvestigationRegistry } from "../../src/investigation/catalog";
import { closeInvestigations, openInvestigations } from "../../src/investigation/open-investigations";
import { doors } from "../../src/doors/doors";
import { decodeResult, type InvestigationResult } from "../../src/investigation/result";
import type { Operation, OperationOptions } from "../../src/investigation/operation";
import { runOperation, runOperations } from "../../src/investigation/run-operations";
import {
  type InvestigationFolder,
  moduleSource,
  parameters,
  withModules,
} from "../kit/investigations/investigation-folder";

const ECHO = moduleSource(
  "echo",
  `if (this.parameters.word === "") return { found: false, elements: {}, statistics: {} };
   return { found: true, elements: { word: this.parameters.word }, statistics: { count: this.parameters.count } };`,
);

async function run(folder: InvestigationFolder, operation: Operation, options?: OperationOptions) {
  return (await runOperation(folder, operation, options)).result;
}

/** Gives the pieces to a run of the base class directly, as a program does that starts it. */
async function feed(pieces: readonly (string | Uint8Array)[]): Promise<InvestigationResult> {
  class Echo extends door.Investigation<{ word: string }> {
    protected readonly schema = door.z.strictObject({ word: door.z.string() });
    protected investigate() {
      return { found: true, elements: { word: this.parameters.word }, statistics: {} };
    }
  }
  const listener = { log: () => undefined, alert: () => undefined };
  const context = new GuestContext(new AbortController().signal, listener, 10_000);
  async function* input() {
    yield* pieces;
  }
  return decodeResult(await new Echo(context).run(input()));
}

test("a module is an object or a function, has one name, and a second one of that name is refused by naming both places", () => {
  const registry = new InvestigationRegistry();
  const newRun = () => ({ run: async () => "", validateParameters: () => undefined });
  registry.register("one", { newRun }, "/a/one.ts");
  registry.register("two", newRun, "/a/one.ts");
  assert.deepEqual(
    registry.list().map(({ name }) => name),
    ["one", "two"],
  );
  assert.equal(registry.find("three"), undefined);
  assert.throws(
    () => registry.register("one", newRun, "/b/one.ts"),
    /^ModuleError: \/b\/one\.ts: a module named one has already been registered, by \/a\/one\.ts$/,
  );
  assert.throws(() => registry.register("no name", newRun, "/c.ts"), /"no name" is no name for a module/);
  assert.throws(() => registry.register("x", {} as never, "/c.ts"), /module x has neither newRun\(\) nor/);
});

test("files register modules, several in one; a broken file disturbs no other, and two of one name are an error", async () => {
  const two = `${ECHO}\nregisterInvestigation("second", (context) => new Module(context));`;
  const files = { "echo.ts": two, "broken.ts": "this is no TypeScript", "empty.ts": "export {};" };
  await withModules(files, async (folder) => {
    const { modules, refused } = await folder.catalog.list();
    assert.deepEqual(
      modules.map(({ name }) => name),
      ["echo", "second"],
    );
    assert.equal(refused.length, 2);
    assert.match(refused.map(({ message }) => message).join("\n"), /broken\.ts:1[^]*empty\.ts: it registers no module/);
    assert.equal((await run(folder, { module: "second", parameters: { word: "x" } })).success, true);
    assert.match((await run(folder, { module: "broken" })).errors![0]!, /broken\.ts:1/);
    folder.write("modules/investigation/other.ts", moduleSource("echo", "return null"));
    const doubled = (await folder.catalog.list()).refused.find(({ file }) => file.endsWith("other.ts"));
    assert.match(doubled!.message, /other\.ts: a module named echo has already been registered, by .*echo\.ts/);
  });
});

test("a file that was deleted is no module any more, whether it could be used or not", async () => {
  await withModules({ "echo.ts": ECHO, "broken.ts": "this is no TypeScript" }, async (folder) => {
    assert.equal((await folder.catalog.list()).refused.length, 1);
    for (const name of ["echo.ts", "broken.ts"]) rmSync(join(folder.folder, "modules/investigation", name));
    assert.match(
      (await run(folder, { module: "echo" })).errors![0]!,
      /^module 'echo' is not available; there is no module at all$/,
    );
    assert.deepEqual(await folder.catalog.list(), { modules: [], refused: [] });
  });
});

test("an error of a file's top level is reported with its line", async () => {
  await withModules({ "echo.ts": "const x: any = null;\nx.y;" }, async (folder) => {
    const [refused] = (await folder.catalog.list()).refused;
    assert.match(refused!.message, /echo\.ts:2:3: its top level threw TypeError: Cannot read properties of null/);
  });
});

test("a file that was saved is used as it is now", async () => {
  await withModules({ "echo.ts": ECHO }, async (folder) => {
    assert.deepEqual((await run(folder, { module: "echo", parameters: { word: "old" } })).elements, { word: "old" });
    const file = folder.write(
      "modules/investigation/echo.ts",
      ECHO.replace("word: this.parameters.word }", 'word: "new" }'),
    );
    utimesSync(file, new Date(), new Date(Date.now() + 5000));
    assert.deepEqual((await run(folder, { module: "echo", parameters: { word: "old" } })).elements, { word: "new" });
  });
});

test("a file whose name begins with _ is shared: it is no module, and when it is saved the modules that import it are new", async () => {
  const shared = 'export const word = "old";';
  const module = `import { word } from "./_shared";\n${ECHO.replace("word: this.parameters.word }", "word }")}`;
  await withModules({ "echo.ts": module, "_shared.ts": shared }, async (folder) => {
    const { modules, refused } = await folder.catalog.list();
    assert.deepEqual([modules.map(({ name }) => name), refused], [["echo"], []]);
    const echo = async () => (await run(folder, { module: "echo", parameters: { word: "x" } })).elements;
    assert.deepEqual(await echo(), { word: "old" });
    folder.write("modules/investigation/_shared.ts", 'export const word = "another";');
    assert.deepEqual(await echo(), { word: "another" });
  });
});

test("a result has its members in MIG's order, and errors is null without one", async () => {
  await withModules({ "echo.ts": ECHO }, async (folder) => {
    const { module } = await folder.catalog.get("echo");
    const listener = { log: () => undefined, alert: () => undefined };
    const started = module.newRun!(new GuestContext(new AbortController().signal, listener, 1000));
    async function* input() {
      yield parameters({ word: "x", count: 2 });
    }
    assert.equal(
      await started.run(input()),
      '{"foundanything":true,"success":true,"elements":{"word":"x"},"statistics":{"count":2,"pausedms":0},"errors":null}',
    );
  });
});

test("what is no message with parameters is a failure with one error that says why", async () => {
  const unexpected = (result: InvestigationResult, reason: RegExp) => {
    assert.equal(result.success, false);
    assert.equal(result.foundanything, false);
    assert.equal(result.errors?.length, 1);
    assert.match(result.errors[0]!, /^unexpected input is not module parameters: /);
    assert.match(result.errors[0]!, reason);
  };
  unexpected(await feed([]), /there is none/);
  unexpected(await feed(["\n"]), /there is none/);
  unexpected(await feed(["{nonsense\n"]), /it is no JSON/);
  unexpected(await feed(["[1]\n"]), /it is no JSON object/);
  unexpected(await feed(["null\n"]), /it is no JSON object/);
  unexpected(await feed(['{"parameters":{}}\n']), /it has no "class"/);
  unexpected(await feed(['{"class":"stop"}\n']), /its class is "stop"/);
  unexpected(await feed(['{"class":"config"}\n']), /its class is "config"/);
  unexpected(await feed(['{"class":"whatever"}\n']), /its class is "whatever"/);
});

test("a message may lack its line feed, end in CR LF, be cut anywhere, also within a character, and be a megabyte long", async () => {
  const word = "grüße ☃ 𝄞";
  const bytes = Buffer.from(`${parameters({ word })}\r\n`);
  assert.deepEqual((await feed([bytes])).elements, { word });
  assert.deepEqual((await feed([bytes.subarray(0, -2)])).elements, { word });
  assert.deepEqual((await feed([...bytes].map((byte) => Uint8Array.of(byte)))).elements, { word });
  const long = "x".repeat(1024 * 1024);
  assert.deepEqual((await feed([parameters({ word: long })])).elements, { word: long });
});

test("compressed parameters are accepted, and what is damaged is an error", async () => {
  const line = (text: string) => JSON.stringify({ class: "parameters", parameters: text });
  const compressed = gzipSync(JSON.stringify({ word: "packed" })).toString("base64");
  assert.deepEqual((await feed([line(compressed)])).elements, { word: "packed" });
  assert.match((await feed([line("!!")])).errors![0]!, /no base64/);
  assert.match((await feed([line(Buffer.from("text").toString("base64"))])).errors![0]!, /cannot be expanded/);
  assert.match((await feed([line(compressed.slice(0, -8))])).errors![0]!, /cannot be expanded/);
  assert.match((await feed([line(gzipSync("{").toString("base64"))])).errors![0]!, /no JSON/);
  const bomb = gzipSync(Buffer.alloc(65 * 1024 * 1024)).toString("base64");
  assert.match((await feed([line(bomb)])).errors![0]!, /cannot be expanded/);
});

test("wrong types are errors and never coerced, and a misspelt name is answered by the nearest", async () => {
  await withModules({ "echo.ts": ECHO }, async (folder) => {
    const error = async (value: object) => (await run(folder, { module: "echo", parameters: value })).errors;
    assert.deepEqual(await error({ count: "3" }), [
      "parameters.count: Invalid input: expected number, received string",
    ]);
    assert.deepEqual(await error({ wrod: "x" }), ['parameters: there is no "wrod"; do you mean "word"?']);
    assert.deepEqual(await error({ zzzzzzzz: 1 }), ['parameters: there is no "zzzzzzzz"; there are word, count, deep']);
    assert.deepEqual(await error({ deep: { iner: true, inner: true } }), [
      'parameters.deep: there is no "iner"; do you mean "inner"?',
    ]);
    assert.equal((await error({ count: -1, word: 3 }))?.length, 1);
  });
});

test("a stop message ends a run early with MIG's words, the end of the input does not, and after the end it is nobody's", async () => {
  const source = moduleSource(
    "slow",
    `this.context.signal.addEventListener("abort", () => { globalThis.slowWasTold = true; });
     await new Promise((resolve) => setTimeout(resolve, this.parameters.count));
     return { found: true, elements: {}, statistics: {} };`,
  );
  await withModules({ "slow.ts": source }, async (folder) => {
    const { module } = await folder.catalog.get("slow");
    const listener = { log: () => undefined, alert: () => undefined };
    const start = (lines: readonly string[]) => {
      async function* input() {
        for (const line of lines) yield `${line}\n`;
      }
      const context = new GuestContext(new AbortController().signal, listener, 60_000);
      return module.newRun!(context).run(input());
    };
    const stopped = decodeResult(await start([parameters({ count: 60_000 }), '{"class":"ping"}', '{"class":"stop"}']));
    assert.deepEqual(stopped.errors, ["stop message received, terminating early"]);
    assert.equal(stopped.success, false);
    assert.equal((globalThis as { slowWasTold?: boolean }).slowWasTold, true);
    assert.equal(decodeResult(await start([parameters({ count: 5 })])).success, true);
    const stop = new AbortController();
    const running = runOperation(folder, { module: "slow", parameters: { count: 60_000 } }, { stop: stop.signal });
    setTimeout(() => stop.abort(), 20);
    const { status, result } = await running;
    assert.equal(status, "cancelled");
    assert.deepEqual(result.errors, ["stop message received, terminating early"]);
    const late = new AbortController();
    await runOperation(folder, { module: "slow", parameters: {} }, { stop: late.signal });
    late.abort();
  });
});

test("whatever a module throws, at once or later, becomes a result with exactly one error", async () => {
  const bodies: Record<string, [body: string, error: RegExp]> = {
    now: ['throw new Error("at once")', /^at once$/],
    later: ['await new Promise((r) => setImmediate(r)); throw new TypeError("later")', /^later$/],
    text: ['throw "a text"', /^a text$/],
    odd: ["throw Object.create(null)", /has no text/],
    circle: ["const e: any = {}; e.e = e; return { found: true, elements: e, statistics: {} }", /circular/],
    big: ["return { found: true, elements: { a: 1n }, statistics: {} }", /BigInt/],
    nothing: ["return undefined", /undefined/],
  };
  const files = Object.entries(bodies).map(([name, [body]]) => [`${name}.ts`, moduleSource(name, body)]);
  const raw = `
    import { registerInvestigation } from "rebox/investigation";
    const run = (answer: any) => () => ({ validateParameters() {}, run: answer });
    registerInvestigation("rejects", run(() => Promise.reject(new Error("rejected"))));
    registerInvestigation("throws", run(() => { throw new Error("thrown"); }));
    registerInvestigation("garbage", run(async () => "{}"));
    registerInvestigation("unmade", () => { throw new Error("not made"); });`;
  await withModules({ ...Object.fromEntries(files), "raw.ts": raw }, async (folder) => {
    const all = { ...bodies, rejects: ["", /^rejected$/], throws: ["", /^thrown$/], garbage: ["", /no result/] };
    for (const [name, [, error]] of Object.entries({ ...all, unmade: ["", /^not made$/] })) {
      const { status, result } = await runOperation(folder, { module: name, parameters: {} });
      assert.equal(status, "failed", name);
      assert.equal(result.success, false);
      assert.equal(result.errors?.length, 1);
      assert.match(result.errors[0]!, error as RegExp);
    }
  });
});

test("an unknown module is a full result that names the nearest; soft errors leave success", async () => {
  const soft = moduleSource("soft", 'return { found: false, elements: {}, statistics: {}, errors: ["one", "two"] }');
  await withModules({ "soft.ts": soft }, async (folder) => {
    assert.deepEqual(await run(folder, { module: "sofd" }), {
      ...{ foundanything: false, success: false, elements: null, statistics: null },
      errors: ["module 'sofd' is not available; do you mean soft?"],
    });
    const other = await run(folder, { module: "registry" });
    assert.deepEqual(other.errors, ["module 'registry' is not available; there are soft"]);
    folder.write("modules/investigation/Late.ts", "registerInvestigation('late', {});");
    const [reason] = (await run(folder, { module: "late" })).errors!;
    assert.match(
      reason!,
      /^module 'late' is not available; there are soft; .*Late\.ts.*registerInvestigation is not defined/s,
    );
    const { status, result } = await runOperation(folder, { module: "soft", parameters: {} });
    assert.equal(status, "success");
    assert.deepEqual([result.success, result.errors], [true, ["one", "two"]]);
  });
});

test("a module that does not end is ended at its time-out or when the question expires, whichever is first", async () => {
  const slow = moduleSource("slow", "await new Promise((r) => setTimeout(r, 600_000).unref()); return null");
  const busy = moduleSource("busy", "for (;;);");
  await withModules({ "slow.ts": slow, "busy.ts": busy }, async (folder) => {
    const ask = (module: string, options: OperationOptions) =>
      runOperation(folder, { module, parameters: {} }, options);
    const late = await ask("slow", { timeoutMs: 50 });
    assert.deepEqual([late.status, late.result.errors], ["timeout", ["the module did not end within 0.05 s"]]);
    assert.equal((await ask("slow", { timeoutMs: 60_000, expiresAt: Date.now() + 100 })).status, "timeout");
    assert.equal((await ask("slow", { timeoutMs: 50, expiresAt: Date.now() + 60_000 })).status, "timeout");
    assert.equal((await ask("slow", { expiresAt: Date.now() - 1 })).status, "expired");
    const cut = await ask("busy", { timeoutMs: 100 });
    assert.equal(cut.result.success, false);
    assert.equal(cut.result.errors?.length, 1);
    const gone = new AbortController();
    setTimeout(() => gone.abort(), 20);
    assert.equal((await ask("slow", { signal: gone.signal })).status, "cancelled");
  });
});

test("operations run at the same time, share nothing, and each result has the place of its operation", async () => {
  const counting = moduleSource(
    "counting",
    `await new Promise((r) => setTimeout(r, this.parameters.count));
     this.total = (this.total ?? 0) + 1;
     if (this.parameters.word === "fail") throw new Error("failed");
     return { found: true, elements: this.parameters.word, statistics: { total: this.total } };`,
    "private total: number | undefined;",
  );
  await withModules({ "counting.ts": counting }, async (folder) => {
    const words = Array.from({ length: 20 }, (_, index) => `word ${index}`);
    const operations = words.map((word, index) => ({
      module: "counting",
      parameters: { word, count: index === 0 ? 300 : 20 - index },
    }));
    const { status, outcomes } = await runOperations(folder, operations);
    assert.equal(status, "success");
    assert.deepEqual(
      outcomes.map(({ result }) => result.elements),
      words,
    );
    assert.ok(outcomes.every(({ result }) => (result.statistics as { total: number }).total === 1));
    const mixed = [...operations, { module: "counting", parameters: { word: "fail" } }, { module: "none" }];
    const second = await runOperations(folder, mixed);
    assert.equal(second.status, "failed");
    assert.deepEqual(
      second.outcomes.map(({ status }) => status),
      [...words.map(() => "success"), "failed", "failed"],
    );
  });
});

test("flags become parameters: help shows the usage without a run, unknown ones and wrong values are errors, some add up", async () => {
  const source = moduleSource(
    "flags",
    "return { found: true, elements: this.parameters, statistics: {} }",
    'paramsParser(args: readonly string[]) { return this.accept(parseFlags(args, { word: "text", count: "number", many: "texts", on: "switch" }, "the help")); }',
  ).replace("deep:", "many: z.array(z.string()).default([]), on: z.boolean().default(false), deep:");
  await withModules({ "flags.ts": source, "plain.ts": moduleSource("plain", "return null") }, async (folder) => {
    const ask = (words: readonly string[], module = "flags") => runOperation(folder, { module, words });
    const { result } = await ask(["-word", "-x", "--count=3", "-many", "a", "-many", "b", "-on"]);
    assert.deepEqual(result.elements, { word: "-x", count: 3, many: ["a", "b"], on: true });
    for (const help of [["help"], ["-h"], ["-help"], ["--help"]]) assert.equal((await ask(help)).usage, "the help");
    const error = async (words: string[]) => (await ask(words)).result.errors?.[0];
    assert.equal(await error(["-wrod", "x"]), "there is no flag -wrod; do you mean -word?");
    assert.equal(await error(["-count", "many"]), '-count needs a number, not "many"');
    assert.match((await error(["-count", "-1"]))!, /parameters\.count/);
    assert.equal(await error(["-word"]), "-word needs a value");
    assert.match((await error(["loose"]))!, /"loose" belongs to no flag/);
    assert.match((await ask(["-x"], "plain")).result.errors![0]!, /module plain takes no flags/);
  });
});

test("results are printed by their module, with errors unless only finds are wanted; one without a printer says so", async () => {
  const printing = moduleSource(
    "printing",
    'return { found: true, elements: {}, statistics: {}, errors: ["soft"] }',
    `printResults(result: any, foundOnly: boolean) {
       return ["found it", ...(foundOnly ? [] : result.errors.map((e: string) => "error: " + e))];
     }`,
  );
  await withModules({ "printing.ts": printing, "echo.ts": ECHO }, async (folder) => {
    const print = async (module: string, how: "all" | "found", value: object = {}) =>
      (await runOperation(folder, { module, parameters: value }, { print: how })).printed;
    assert.deepEqual(await print("printing", "all"), ["found it", "error: soft"]);
    assert.deepEqual(await print("printing", "found"), ["found it"]);
    assert.deepEqual(await print("echo", "all"), ["[error] no printer available for module 'echo'"]);
    const failed = ["error: parameters.count: Invalid input: expected number, received string"];
    assert.deepEqual(await print("printing", "all", { count: "" }), failed);
    assert.deepEqual(await print("printing", "found", { count: "" }), []);
  });
});

test("privacy mode masks what a module says, and nothing of one that says nothing", async () => {
  const masking = moduleSource(
    "masking",
    'return { found: true, elements: { name: "n", size: 1 }, statistics: {} }',
    'enhancePrivacy(result: any) { return { ...result, elements: { ...result.elements, name: "masked" } }; }',
  );
  await withModules({ "masking.ts": masking, "echo.ts": ECHO }, async (folder) => {
    const open = await run(folder, { module: "masking", parameters: {} });
    assert.deepEqual(open.elements, { name: "n", size: 1 });
    const masked = await run(folder, { module: "masking", parameters: {} }, { isPrivate: true });
    assert.deepEqual(masked, { ...open, elements: { name: "masked", size: 1 } });
    const asIs = await run(folder, { module: "echo", parameters: { word: "x" } }, { isPrivate: true });
    assert.deepEqual(asIs.elements, { word: "x" });
  });
});

test("the owner of a guest has every answer masked, whoever asks, and no question turns that off", async () => {
  const masking = moduleSource(
    "masking",
    'return { found: true, elements: "name", statistics: {} }',
    'enhancePrivacy(result: any) { return { ...result, elements: "masked" }; }',
  );
  await withModules({ "masking.ts": masking }, async (folder) => {
    const listener = { log: () => undefined, onAlert: () => undefined };
    const open = (isPrivate: boolean) => openInvestigations([folder.folder], () => doors, { isPrivate, ...listener });
    for (const [owner, asked, expected] of [
      [false, undefined, "name"],
      [false, true, "masked"],
      [true, undefined, "masked"],
      [true, false, "masked"],
    ] as const) {
      const options = asked === undefined ? {} : { isPrivate: asked };
      const { result } = await runOperation(open(owner), { module: "masking", parameters: {} }, options);
      assert.equal(result.elements, expected);
    }
    await closeInvestigations();
  });
});

test("what a guest calls its things cannot steer the terminal of whoever reads the JSON", async () => {
  const hostile = moduleSource(
    "hostile",
    'return { found: true, elements: "\\u001b[2J\\u009b\\u202e", statistics: {} }',
  );
  await withModules({ "hostile.ts": hostile }, async (folder) => {
    const { result } = await runOperation(folder, { module: "hostile", parameters: {} });
    assert.equal(result.elements, "\u001b[2J\u009b\u202e");
    const { encodeResult } = await import("../../src/investigation/result.js");
    assert.match(encodeResult(result), /"elements":"\\u001b\[2J\\u009b\\u202e"/);
  });
});
