import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import fc from "fast-check";
import { createDoors } from "../../src/scripts/loading/doors";
import { loadTrustedFile } from "../../src/scripts/loading/trusted-file";
import { stopCompiler } from "../../src/scripts/loading/script-compiler";
import { evaluate } from "../../src/shell/commands/arguments/expression";
import { PROJECT } from "../kit/project";

interface Numbers {
  readNumber(word: string | undefined, what: string): bigint;
  readRange(words: readonly string[]): [bigint, bigint];
}

let numbers: Numbers;

before(async () => {
  const file = await loadTrustedFile(join(PROJECT, "scripts/_numbers.ts"), "numbers", createDoors());
  numbers = file.exports as unknown as Numbers;
  await stopCompiler();
});

const NO_NAMES = { findRegister: () => undefined, findSymbol: () => undefined, findVariable: () => undefined };

test("a number in a script's command means what it means in the shell, however it is written", () => {
  const value = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
  fc.assert(
    fc.property(value, fc.boolean(), (number, isUpper) => {
      const hex = isUpper ? number.toString(16).toUpperCase() : number.toString(16);
      for (const word of [hex, `0x${hex}`, `0X${hex}`, `\\d${number}`, `000${hex}`]) {
        assert.equal(numbers.readNumber(word, "it"), number, word);
        assert.equal(evaluate(word, NO_NAMES), number, word);
      }
    }),
  );
});

test("a word that is no number is refused by the name of the argument", () => {
  for (const word of ["", "0x", "12g", "-1", "0n1", "1 2", "1_000", "\\d1f", "all"]) {
    assert.throws(() => numbers.readNumber(word, "the pgd"), /^Error: the pgd is a number, in hexadecimal/, word);
  }
  assert.throws(() => numbers.readNumber(undefined, "the pgd"), /^Error: the pgd is missing$/);
  assert.throws(() => numbers.readNumber("10000000000000000", "the pgd"), /^Error: the pgd has more than 64 bits/);
  assert.throws(() => numbers.readRange(["1000", "1000"]), /^Error: the range from 1000 to 1000 is empty$/);
  assert.throws(() => numbers.readRange(["1000"]), /^Error: the address behind the last is missing$/);
});
