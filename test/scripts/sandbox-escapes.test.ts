import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { stopCompiler } from "../../src/scripts/loading/script-compiler";
import { ATTEMPTS, PROBE } from "../kit/scripts/escape-attempts";
import { CLEAN, ScriptFolder } from "../kit/scripts/script-folder";

after(stopCompiler);

const TOP = `${PROBE}
  declare const require: any, module: any, Buffer: any;
  const sandboxedSloppy: any = function () { return sandboxedSloppy.caller; };`;

/** Escapes from vm2 that have a number, from its first to 2026; those about options that rebox does not use are not here. */
const PUBLISHED = [
  ...["CVE-2019-10761", "CVE-2021-23449", "CVE-2021-23555", "CVE-2022-25893", "CVE-2022-36067", "CVE-2023-29017"],
  ...["CVE-2023-29199", "CVE-2023-30547", "CVE-2023-32313", "CVE-2023-32314", "CVE-2023-37466", "CVE-2023-37903"],
  ...["CVE-2026-22709", "CVE-2026-26956", "CVE-2026-43999", "CVE-2026-44000", "CVE-2026-44001", "CVE-2026-44008"],
  ...["CVE-2026-45411", "CVE-2026-47140"],
];

async function run(body: string, permissions: string): Promise<{ messages: string[]; strays: string[] }> {
  const folder = new ScriptFolder(permissions);
  try {
    folder.write(
      "a.ts",
      TOP,
      `export function initialize_callbacks(h: any, p: any): any {
      print = p;
      const attempt: any = function (): any { ${body} };
      try { return attempt(h, p); } finally { print("tried"); }
    }`,
      CLEAN,
    );
    await folder.host.load("a").catch((error: Error) => folder.strays.push(error.message));
    // Promises and timers of the attempt.
    await sleep(30);
    return { messages: folder.messages, strays: folder.strays };
  } finally {
    await folder.remove();
  }
}

// What Node tells of promises that nobody caught is for the run, not for this test.
process.on("unhandledRejection", () => undefined);

describe("a script in the sandbox does not get out by", () => {
  for (const [name, body] of Object.entries(ATTEMPTS)) {
    test(name, async () => {
      const { messages, strays } = await run(body, "none");
      assert.ok(messages.includes("tried"), strays.join());
      // It went to its end.
      assert.deepEqual(
        strays.filter((stray) => stray.includes("threw")),
        [],
      );
      assert.deepEqual(
        messages.filter((message) => message.startsWith("ESCAPED")),
        [],
      );
    });
  }

  test("any way that was published about vm2: each is among those above", () => {
    const names = Object.keys(ATTEMPTS).join("\n");
    assert.deepEqual(
      PUBLISHED.filter((cve) => !names.includes(cve)),
      [],
    );
  });

  test("naming vm2's own state: such a script is refused", async () => {
    const { strays } = await run("VM2_INTERNAL_STATE_DO_NOT_USE_OR_PROGRAM_WILL_FAIL.handleException(1);", "none");
    assert.match(strays.join(), /Use of internal vm2 state/);
  });
});

describe("what others throw", () => {
  test("is not shown to a script in the sandbox, and what it throws itself is not asked anything", async () => {
    const folder = new ScriptFolder("none");
    try {
      folder.write(
        "s.ts",
        "let foreign = 0;",
        "const isForeign = (value: any): boolean => {",
        "  while (Object.getPrototypeOf(value) !== null) value = Object.getPrototypeOf(value);",
        "  return value !== Object.prototype;",
        "};",
        "export function do_foreign() { return String(foreign); }",
        "export function initialize_callbacks() {",
        "  const value = (value: any) => { if (typeof value === 'object' && value && isForeign(value)) foreign++; return false; };",
        "  Object.defineProperty(Error, Symbol.hasInstance, { value });",
        "  const endless: any = { get message() { for (;;); }, get constructor() { for (;;); } };",
        "  for (const thrown of [endless, Object.create(null), new RangeError('own')]) void (async () => { throw thrown; })();",
        "}",
        CLEAN,
      );
      const rejected: unknown[] = [];
      const listener = (reason: unknown) => void rejected.push(reason);
      const others = process.rawListeners("unhandledRejection") as ((reason: unknown) => void)[];
      process.removeAllListeners("unhandledRejection").on("unhandledRejection", listener);
      await folder.host.load("s");
      await sleep(20);
      process.off("unhandledRejection", listener);
      for (const other of others) process.on("unhandledRejection", other);
      for (const foreign of [{ a: 1 }, new Error("host"), Object.create(null), () => 1])
        folder.host.findOrigin(foreign);
      assert.ok(!folder.messages.includes("SEEN object"), folder.messages.join());
      const found = rejected.map((reason) => folder.host.findOrigin(reason));
      assert.deepEqual(
        found.map((origin) => [origin?.script, (origin?.error as Error).message]),
        [
          ["s", "a value that cannot be shown as text"],
          ["a script", "a value that cannot be shown was thrown"],
          ["s", "a value that cannot be shown as text"],
        ],
      );
    } finally {
      await folder.remove();
    }
  });
});

describe("the probe finds what it looks for:", () => {
  test("the walk is long, and outside of the sandbox it finds the way out", async () => {
    const [walk] = Object.values(ATTEMPTS);
    const inside = await run(walk ?? "", "none");
    assert.ok(
      Number(/walked (\d+)/.exec(inside.messages.join())?.[1]) > 500,
      inside.strays.join() + inside.messages.join(),
    );
    const outside = await run("probe({}, 'an object');", "*");
    assert.deepEqual(outside.messages, ["ESCAPED: an object", "tried"]);
  });

  test("an object of rebox's realm is noticed", async () => {
    const { messages } = await run("probe(require('vm').runInNewContext('({})'), 'another realm');", "*");
    assert.deepEqual(messages, ["ESCAPED: another realm", "tried"]);
  });
});
