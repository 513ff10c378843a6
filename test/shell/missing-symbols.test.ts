import assert from "node:assert/strict";
import { test } from "node:test";
import { explainMissingSymbols, type SearchedModules } from "../../src/shell/commands/rendering/missing-symbols";
import { createModule } from "../../src/systems/linux/modules/guest-module";

const PGD = 0x1000n;
const reasons: Record<string, string> = { nginx: "it is stripped", a: "of a", b: "of b", c: "of c", d: "of d" };
const symbols: SearchedModules = {
  getModules: (pgd) =>
    (pgd === 0n ? ["kernel"] : ["nginx", "libc.so.6", "a", "b", "c", "d"]).map((name) =>
      createModule(name, pgd === 0n ? "" : `/usr/lib/${name}`, 0n, 1, []),
    ),
  explainEmpty: (_pgd, { name }) => reasons[name],
};

const explain = (pgd: bigint, module: string, isWanted = (name: string): boolean => name === module) =>
  explainMissingSymbols(symbols, pgd, module, isWanted);

test("a search without a match says which part had none: the module, its symbols, or the name", () => {
  assert.equal(explain(PGD, "apache"), "no module apache here; modules: lm");
  assert.equal(explain(PGD, "nginx"), "nginx has no symbols, since it is stripped");
  assert.equal(explain(PGD, "libc.so.6"), undefined);
  assert.equal(
    explain(PGD, "*", () => true),
    undefined,
  );
});

test("without a process, it says where the modules of a process are", () => {
  assert.equal(explain(0n, "nginx"), "no module nginx here; modules: lm; those of a process: proc PROCESS, then lm");
});

test("of many modules without symbols a few are named", () => {
  const text = explain(PGD, "?", (name) => name.length === 1);
  assert.match(text ?? "", /^a has no symbols, since of a; b has .*; c has no symbols, since of c; and 1 more$/);
});
