import assert from "node:assert/strict";
import { test } from "node:test";
import { explainAncestorName, findAncestorName } from "../../src/config/ancestor-names";
import { findMissingName } from "../../src/scripts/loading/door-imports";
import { doors } from "../../src/doors/doors";
import { describeThrown } from "../../src/scripts/script-stack";
import { type AncestorPage, readPage } from "../kit/documents/pyrebox-page";

const API_TABLES: readonly [AncestorPage, string][] = [
  ["pyrebox", "Python API"],
  ["pyrebox", "The raw module c_api"],
  ["mig", "Modules"],
  ["cuckoo3", "Errors of machinery"],
];

/** What is to be imported or called, of a name on the right of a page: "CallbackManager.clean()" is `CallbackManager.clean`. */
const targetsOf = (targets: readonly string[]) => targets.map((target) => target.replace("()", ""));

/** What a script is told that imports the name from "rebox". */
function explainImport(name: string): string {
  const text = `No matching export in "rebox-door:rebox" for import "${name}"`;
  return findMissingName({ text } as Parameters<typeof findMissingName>[0], doors, true)!;
}

test("an import by a name of PyREBox or MIG is answered with what the page of that program says", () => {
  let count = 0;
  for (const [page, heading] of API_TABLES) {
    for (const { names, targets, isNone, text } of readPage(page).filter((row) => row.heading === heading)) {
      const expected = targetsOf(targets);
      // What has the same name here, or is a register or a member of a module of PyREBox's, cannot be a wrong import.
      for (const name of names.filter((each) => /^\w+$/.test(each) && !/^(clean|x86_is_pae)$/.test(each))) {
        if (isNone || expected.length === 0 || expected.some((target) => target.split(".").at(-1) === name)) continue;
        const told = explainImport(name);
        assert.ok(expected.some((target) => told.includes(`did you mean ${target}`)), `${told} ${text}`); // prettier-ignore
        count++;
      }
    }
  }
  assert.ok(count > 50, `${count} names`);
  assert.equal(explainImport("start_shell"), `"rebox" exports no start_shell; did you mean startShell, from "rebox/trusted"?`); // prettier-ignore
});

test("a call of a member by PyREBox's name is answered with the member's name here", () => {
  const thrown = (message: string) => describeThrown(new TypeError(message));
  assert.equal(
    thrown("cm.add_callback is not a function"),
    "TypeError: cm.add_callback is not a function; did you mean CallbackManager.addCallback?",
  );
  assert.equal(explainAncestorName("r_va is not defined"), "; did you mean readVa?");
  assert.equal(thrown("my_own.thing is not a function"), "TypeError: my_own.thing is not a function");
  assert.equal(findAncestorName("toString"), undefined, "what every object has is no name of a table");
});
