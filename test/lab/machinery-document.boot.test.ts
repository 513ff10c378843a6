import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { checkTypes, findTypeScript } from "../../src/cli/check/type-check";
import { runDocument } from "../kit/documents/documented-steps";
import { NEEDS_QEMU } from "../kit/lab/lab-run";
import { PROJECT } from "../kit/project";

const DOCUMENT = join(PROJECT, "docs/reference/machinery.md");

test(
  "every command of docs/reference/machinery.md prints what the document says, with the module that it builds",
  { skip: NEEDS_QEMU },
  () => {
    const count = runDocument(DOCUMENT, {}, ["office", "nap"]);
    assert.ok(count > 20, "the document has commands");
  },
);

test("every TypeScript example of docs/reference/machinery.md has the right types", () => {
  const text = readFileSync(DOCUMENT, "utf8");
  const examples = [...text.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code!);
  assert.equal(examples.length, 4);
  const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
  try {
    for (const [index, code] of examples.entries()) {
      const file = join(folder, `example${index}.ts`);
      writeFileSync(file, code);
      assert.deepEqual(checkTypes(findTypeScript(file, PROJECT)!, file, PROJECT), []);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
