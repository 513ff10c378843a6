import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { evaluate, type NameSource } from "../../src/shell/commands/arguments/expression";
import { parsePlace, parseRange } from "../../src/shell/commands/arguments/memory-place";
import { readSymbolName, writeSymbolName } from "../../src/shell/commands/arguments/symbol-name";
import { CommandInput } from "../../src/shell/commands/command";
import { renderValue } from "../../src/shell/commands/rendering/render";
import { CommandError } from "../../src/shell/errors";

/** Names of modules that look like numbers, arithmetic or places. */
const AWKWARD = ["bad-tool", "af-alg", "0x1f-2", "pad-x", "rip+10", "g++", "libstdc++.so.6", "-x", "$a", "@b", "\\d1"];
const BASE = 0xffffffff81000000n;

function createNames(modules: readonly string[], variables: Readonly<Record<string, string>> = {}): NameSource {
  return {
    findRegister: (name) => (name === "RIP" ? 0x1000n : undefined),
    findSymbol: (module, name) =>
      name !== "missing" && (module === undefined ? name === "main" : modules.includes(module)) ? BASE : undefined,
    findVariable: (name) => (Object.hasOwn(variables, name) ? variables[name] : undefined),
  };
}

describe("a name with ! is one name", () => {
  for (const module of AWKWARD) {
    test(`${module}!main is the symbol main of the module ${module}, wherever an address is asked for`, () => {
      const names = createNames([module, "tool", "alg", "kernel"]);
      const name = `${module}!main`;
      assert.equal(evaluate(name, names), BASE);
      assert.equal(evaluate(`${name}+10`, names), BASE + 0x10n);
      assert.equal(evaluate(`kernel!main-${name}`, names), 0n);
      assert.deepEqual(parsePlace(name, names), { isPhysical: false, address: BASE });
      assert.deepEqual(parseRange(`${name}:20`, names), { isPhysical: false, address: BASE, size: 0x20n });
    });
  }

  test("a module that is not there is named as a whole, though a part of it is there", () => {
    const names = createNames(["tool", "alg"]);
    assert.throws(() => evaluate("bad-tool!main", names), /no symbol main in bad-tool;/);
    assert.throws(() => evaluate("af-alg!main", names), /no symbol main in af-alg;/);
    const explained = { ...names, explainMissing: (module: string) => `no module ${module} here` };
    assert.throws(() => evaluate("af-alg!main", explained), /no module af-alg here/);
  });

  test("marked numbers, registers and variables may stand in front of a name", () => {
    const names = createNames(["kernel"], { a: "4" });
    assert.equal(evaluate("0x10+kernel!main", names), BASE + 0x10n);
    assert.equal(evaluate("\\d16+$a+@rip+kernel!main", names), BASE + 0x1014n);
  });
});

describe("printed names and numbers can be typed back", () => {
  // Names of modules are names of files, and those of symbols come from a file: anything but nothing.
  const text = fc.oneof(
    fc.string({ minLength: 1, unit: "binary" }),
    fc.constantFrom(...AWKWARD, 'a"b', "a b", "a\\b", "go:x", "!"),
  );

  test("names", () => {
    fc.assert(
      // A stripped module has no name but its own.
      fc.property(text, fc.oneof(text, fc.constant("")), fc.bigInt(0n, 0xffffn), (module, name, offset) => {
        const printed = `${writeSymbolName({ module, name })}${offset === 0n ? "" : `+0x${offset.toString(16)}`}`;
        assert.deepEqual({ ...readSymbolName(printed), length: 0 }, { module, name, length: 0 });
        // As a word of a command line, and with a size behind.
        const word = new CommandInput("db", `${printed}:20`).get("an address");
        const names = {
          ...createNames([]),
          findSymbol: (inside?: string, one?: string) => (inside === module && one === name ? BASE : undefined),
        };
        assert.deepEqual(parseRange(word, names), { isPhysical: false, address: BASE + offset, size: 0x20n });
      }),
      { numRuns: 10_000 },
    );
  });

  test("numbers", () => {
    fc.assert(
      fc.property(fc.bigInt(-(1n << 63n), (1n << 64n) - 1n), (number) => {
        assert.equal(evaluate(renderValue(number), createNames([])), BigInt.asUintN(64, number));
      }),
      { numRuns: 10_000 },
    );
  });
});

describe("no expression crashes or hangs", () => {
  const term = fc.constantFrom(
    ...[
      "1f",
      "0x",
      "0x1F",
      "\\d31",
      "\\d",
      "-",
      "+",
      "+-",
      "!",
      ":",
      '"',
      "\\",
      "$a",
      "$b",
      "$loop",
      "@rip",
      "@",
      "rip",
      "p",
      "p10",
    ],
    ...[
      "main",
      "missing",
      "kernel!main",
      "kernel!missing",
      "kernel!",
      "af-alg!main",
      '"a b!main"',
      '"a',
      " ",
      "\0",
      "é",
      "__proto__",
      "constructor",
    ],
  );
  const expression = fc.oneof(
    fc.array(term, { maxLength: 12 }).map((parts) => parts.join("")),
    fc.string(),
    fc.string({ unit: "binary" }),
  );

  test("100,000 generated ones have a value or are refused", () => {
    const names = createNames(["kernel", "a b"], { a: "$b+$b", b: "rip+4", loop: "$loop" });
    fc.assert(
      fc.property(expression, (text) => {
        for (const read of [evaluate, parsePlace, parseRange]) {
          try {
            read(text, names);
          } catch (error) {
            assert.ok(error instanceof CommandError, `${JSON.stringify(text)}: ${String(error)}`);
          }
        }
      }),
      { numRuns: 100_000 },
    );
  });

  test("variables that name each other many times are computed once each", () => {
    const letters = [..."abcdefghijkl"];
    const variables = Object.fromEntries(
      letters.map((letter, index) => [
        letter,
        Array(50)
          .fill(`$${letters[index + 1] ?? "one"}`)
          .join("+"),
      ]),
    );
    assert.equal(evaluate("$a", createNames([], { ...variables, one: "1" })), BigInt.asUintN(64, 50n ** 12n));
  });

  test("a very long sum has a value", () => {
    assert.equal(evaluate(Array(20_000).fill("1").join("+"), createNames([])), 20_000n);
  });
});
