import assert from "node:assert/strict";
import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { buildNamedTriggers } from "../../src/machine/callbacks/shipped-triggers";
import { PROJECT } from "../kit/project";

const libraryOf = (name: string): string => join(PROJECT, `triggers/${name}-x86_64-softmmu.so`);

test("the triggers that a script names are compiled before it runs, and a name that is none is left to addTrigger()", () => {
  const library = libraryOf("trigger_tlb_to_cr3");
  rmSync(library, { force: true });
  buildNamedTriggers(
    'callbacks.addTrigger("one", "triggers/trigger_tlb_to_cr3"); add("triggers/trigger_that_is_none");',
  );
  const built = statSync(library).mtimeMs;
  buildNamedTriggers("`triggers/trigger_tlb_to_cr3`");
  assert.equal(statSync(library).mtimeMs, built);
  assert.ok(!existsSync(libraryOf("trigger_that_is_none")));
});

test("the trigger that hooks with onCalls use is among them, though no script names it", () => {
  buildNamedTriggers("hookFunction(module, name, { onCalls(calls) {} })");
  assert.ok(existsSync(libraryOf("trigger_call_record")));
});
