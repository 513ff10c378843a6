import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { after, test } from "node:test";
import { createCheckCommand } from "../../src/cli/check/check-command";
import { getProjectFolder } from "../../src/config/folders";
import { doors } from "../../src/doors/doors";
import { stopCompiler } from "../../src/scripts/loading/script-compiler";
import { CLEAN, ScriptFolder } from "../kit/scripts/script-folder";

/** Runs a script's body in initialize_callbacks(handle, print), behind a top of its own. */
interface Case {
  readonly body: string;
  readonly top?: string;
  /** The printed texts; or the refusal, with the place in the script. */
  readonly prints?: readonly string[];
  readonly refused?: RegExp;
}

/** Returns what a regular expression prints where this Node takes it, as Node 24 does, and its refusal elsewhere. */
function inThisNode(pattern: string, printed: string, refused: RegExp): Partial<Case> {
  try {
    new RegExp(pattern);
    return { prints: [printed] };
  } catch {
    return { refused };
  }
}

/** Syntax of the years since 2022, and of TypeScript since 4.9, each beside a catch, which has the sandbox read the whole. */
const SYNTAX: Readonly<Record<string, Case>> = {
  "2022: #x in o": { top: "class C { #x = 1; static has(o: object) { return #x in o; } }", body: "print(String(C.has(new C())));", prints: ["true"] }, // prettier-ignore
  "2022: a static block": { top: "class C { static y = 0; static { C.y = 5; } }", body: "print(String(C.y));", prints: ["5"] }, // prettier-ignore
  "2022: private methods and accessors": { top: "class C { #m() { return 1; } get #g() { return this.#m() + 1; } read() { return this.#g; } }", body: "print(String(new C().read()));", prints: ["2"] }, // prettier-ignore
  "2022: the flag d": { body: 'print(String(/b/d.exec("ab")!.indices![0]));', prints: ["1,2"] },
  "2022: await at the top": { top: "await Promise.resolve(1);", body: "print('x');", refused: /^FILE:1:1: .*await/ },
  "2023: a hashbang": { top: "#!/usr/bin/env rebox", body: "print('x');", prints: ["x"] },
  "2021: ??= and numeric separators": { body: "let a: number | undefined; a ??= 1_000; print(String(a));", prints: ["1000"] }, // prettier-ignore
  "2024: the flag v": { body: 'print(String(/[\\p{L}--[a-z]]/v.test("A")));', prints: ["true"] },
  "2025: one name for two groups": { body: 'print(String(/(?<y>a)|(?<y>b)/.exec("b")!.groups!["y"]));', ...inThisNode("(?<y>a)|(?<y>b)", "b", /^FILE:2:\d+: SyntaxError: Invalid regular expression: .*Duplicate capture group name/) }, // prettier-ignore
  "2025: modifiers in a regular expression": { body: 'print(String(/(?i:a)b/.test("Ab")));', ...inThisNode("(?i:a)b", "true", /^FILE:2:\d+: SyntaxError: Invalid regular expression: /) }, // prettier-ignore
  "2025: import attributes": { top: 'import data from "./data.json" with { type: "json" };', body: "print(String(data.x));", prints: ["7"] }, // prettier-ignore
  "2026: using": { body: 'using r = { [Symbol.dispose]() { print("gone"); } }; void r; print("there");', prints: ["there", "gone"] }, // prettier-ignore
  "2026: await using": { body: 'return (async () => { await using r = { async [Symbol.asyncDispose]() { print("gone"); } }; void r; print("there"); })();', prints: ["there", "gone"] }, // prettier-ignore
  "2026: using in a for": { body: 'for (using r of [{ [Symbol.dispose]() { print("gone"); } }]) { void r; print("there"); }', prints: ["there", "gone"] }, // prettier-ignore
  "decorators": { top: "const twice = (method: () => number, _: ClassMethodDecoratorContext) => function (this: unknown) { return 2 * method.call(this); }; class C { @twice read() { return 21; } }", body: "print(String(new C().read()));", prints: ["42"] }, // prettier-ignore
  "auto accessors": { top: "class C { accessor x = 3; }", body: "print(String(new C().x));", prints: ["3"] },
  "TypeScript 4.9: satisfies": { body: "const a = { b: 1 } satisfies Record<string, number>; print(String(a.b));", prints: ["1"] }, // prettier-ignore
  "TypeScript 5.0: const type parameters, enums": { top: "function id<const T>(t: T): T { return t; } enum E { A = 1 }", body: "print(String(id([E.A])[0]));", prints: ["1"] }, // prettier-ignore
  "a name that is assigned to, though it is constant": { body: "const a = 1; a = 2; print(String(a));", refused: /^FILE:2:\d+: .*[Cc]annot assign to "?'?a/ }, // prettier-ignore
  "a syntax error": { body: "print('x';", refused: /^FILE:2:\d+: / },
  "a regular expression that is none": { body: "print(String(/(/.test('')));", refused: /^FILE:2:\d+: SyntaxError: Invalid regular expression/ }, // prettier-ignore
};

after(stopCompiler);

async function check(file: string): Promise<string> {
  const stdout = new PassThrough();
  await createCheckCommand(stdout, getProjectFolder(), () => doors, () => undefined).parseAsync([file], { from: "user" }); // prettier-ignore
  return String(stdout.read() ?? "");
}

for (const [name, { body, top = "", prints, refused }] of Object.entries(SYNTAX)) {
  test(`${name}: the sandbox, a trusted script and rebox check give one answer`, async () => {
    for (const permissions of ["none", "*"]) {
      const folder = new ScriptFolder(permissions);
      folder.write("data.json", '{ "x": 7 }');
      const file = folder.write("script.ts", `${top}\nexport function initialize_callbacks(_: number, print: (text: string) => void): any { try { ${body} } catch (error) { print(String(error)); } }`, CLEAN); // prettier-ignore
      if (refused === undefined) {
        const { handle } = await folder.host.load("script");
        await folder.host.unload(handle);
        assert.deepEqual(folder.messages, prints, permissions);
        assert.equal(await check(file), `${file}: ok\n`);
      } else {
        const place = new RegExp(refused.source.replace("FILE", file));
        assert.match((await folder.refusal(folder.host.load("script"))).message, place, permissions);
        assert.match(await check(file), place);
      }
      await folder.remove();
    }
  });
}
