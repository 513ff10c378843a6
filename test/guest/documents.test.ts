import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { runGuest } from "./guest-run";

const PROJECT = resolve(__dirname, "../../../..");
const DOCUMENTS = ["README.md", ...readdirSync(join(PROJECT, "docs")).map((name) => join("docs", name))];

function findScripts(document: string): string[] {
  const text = readFileSync(join(PROJECT, document), "utf8");
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)]
    .map(([, code]) => code!)
    .filter((code) => code.includes("initialize_callbacks("));
}

for (const document of DOCUMENTS.filter((name) => name.endsWith(".md"))) {
  findScripts(document).forEach((code, index) => {
    test(`script ${index + 1} of ${document} runs on a guest without an error`, async () => {
      const run = await runGuest({ task: "poweroff", script: () => code });
      assert.equal(run.status, 0, run.stderr);
      assert.equal(run.stderr, "");
      assert.notDeepEqual(run.messages, []);
    });
  });
}

test("the README's script prints what the README says, but for addresses", async () => {
  const readme = readFileSync(join(PROJECT, "README.md"), "utf8");
  const printed = [...readme.matchAll(/^ {4}\[entry\] (.*)$/gm)].map(([, line]) => line!);
  const run = await runGuest({ task: "poweroff", script: () => findScripts("README.md")[0]! });
  const shape = (line: string) => line.replace(/0x[0-9a-f]+/g, "0x...");
  assert.equal(printed.length, 3);
  assert.deepEqual(run.messages.map(shape), printed.map(shape));
});
