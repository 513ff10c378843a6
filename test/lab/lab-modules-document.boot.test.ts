import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { checkTypes, findTypeScript } from "../../src/cli/check/type-check";
import { defaultKit } from "../kit/guests/guest-kits";
import { runDocument } from "../kit/documents/documented-steps";
import { PROJECT } from "../kit/project";

const DOCUMENT = join(PROJECT, "docs/guides/lab-modules.md");

test("every step of docs/guides/lab-modules.md does what the document says: the module sees what a real guest loads", () => {
  const kit = mkdtempSync(join(tmpdir(), "rebox-kit-"));
  try {
    const { kernel, initramfs } = defaultKit();
    symlinkSync(kernel, join(kit, "vmlinuz"));
    symlinkSync(initramfs, join(kit, "initramfs.cpio.gz"));
    assert.ok(runDocument(DOCUMENT, { KIT: kit }, ["guest"]) >= 10);
  } finally {
    rmSync(kit, { recursive: true, force: true });
  }
});

test("every TypeScript file of the documents on auxiliary modules has the right types", () => {
  const text = readFileSync(DOCUMENT, "utf8");
  const named = [...text.matchAll(/^<!-- file: (\S+) -->\n```ts\n([^]*?)^```$/gm)];
  const others = [
    ...readFileSync(join(PROJECT, "docs/reference/auxiliary.md"), "utf8").matchAll(/^```ts\n([^]*?)^```$/gm),
  ];
  const files = [...named, ...others.map(([all, code], index) => [all, `example${index}.ts`, code] as const)];
  assert.equal(files.length, 3);
  const folder = mkdtempSync(join(tmpdir(), "rebox-doc-"));
  try {
    for (const [, name, code] of files) {
      const file = join(folder, name!);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, code!);
      assert.deepEqual(checkTypes(findTypeScript(file, PROJECT)!, file, PROJECT), []);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
