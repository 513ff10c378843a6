import assert from "node:assert/strict";
import { test } from "node:test";
import { ModuleOwner } from "../../src/machine/ownership/module-owner";

test("a thing that another one has disposed of on its way is not disposed of again", () => {
  const owner = new ModuleOwner("investigation fswatch");
  const gone: string[] = [];
  const inner = ["a", "b"].map((name) => owner.own(() => gone.push(name)));
  const dispose = (): void => {
    gone.push("outer");
    for (const owned of inner) owned.release();
  };
  owner.own(dispose);
  assert.deepEqual(owner.close(), []);
  assert.deepEqual(gone, ["outer"]);
});
