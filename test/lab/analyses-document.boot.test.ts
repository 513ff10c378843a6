import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { checkTypes, findTypeScript } from "../../src/cli/check/type-check";
import { defaultKit } from "../kit/guests/guest-kits";
import { runDocument } from "../kit/documents/run-document";
import { PROJECT } from "../kit/project";

const DOCUMENT = readFileSync(join(PROJECT, "docs/guides/analyses.md"), "utf8");

/** Takes out what is different each time: seconds, numbers of events, dates. */
function normalize(text: string): string {
  return text.replace(/\d+\.\d s, \d+ events/g, "TIME").replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "DATE");
}

test("every command of docs/guides/analyses.md prints what the document says", () => {
  const count = runDocument("docs/guides/analyses.md", {
    ...{ env: { KIT: dirname(defaultKit().kernel) }, normalize, cleanUp: [["machine", "stop", "office"]] },
  });
  assert.ok(count > 10, "the document has commands");
});

test("the script of docs/guides/analyses.md has the right types", () => {
  const [, code] = /^```ts\n([^]*?)^```$/m.exec(DOCUMENT)!;
  const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
  try {
    const file = join(folder, "begins.ts");
    writeFileSync(file, code!);
    assert.deepEqual(checkTypes(findTypeScript(file, PROJECT)!, file, PROJECT), []);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
