import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PROJECT } from "../kit/project";

const SRC = join(PROJECT, "src");
const sources = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => [path, readFileSync(join(SRC, path), "utf8")] as const);

/** Finds the classes of errors with the code that each declares itself. */
function findErrors(source: string): { readonly name: string; readonly base: string; readonly code?: string }[] {
  return source.split(/^(?=(?:export )?(?:abstract )?(?:default )?(?:abstract )?class )/m).flatMap((text) => {
    const [, name, base] = /class (\w+) extends (\w+)/.exec(text) ?? [];
    if (name === undefined || !/(Error|Shown|Disabled)$/.test(base!)) return [];
    const code = /\bcode(?:: string)? = "(REBOX_\w+)"/.exec(text)?.[1];
    return [{ name, base: base!, ...(code === undefined ? {} : { code }) }];
  });
}

const errors = sources.flatMap(([path, source]) => findErrors(source).map((error) => ({ path, ...error })));

test("every class of errors extends ReboxError, and has a code that no other has", () => {
  const strangers = errors.filter(({ name, base }) => /^(Type|Range)?Error$/.test(base) && name !== "ReboxError");
  assert.deepEqual(
    strangers.map(({ path, name }) => `${path}: ${name}`),
    [],
  );
  const codes = errors.flatMap(({ code }) => (code === undefined ? [] : [code]));
  assert.deepEqual(
    codes.filter((code, at) => codes.indexOf(code) !== at),
    [],
  );
  assert.ok(codes.length > 40, `${codes.length} codes`);
});

test("the list of errors has each code, with its class, and no other", () => {
  const page = readFileSync(join(PROJECT, "docs/reference/errors.md"), "utf8");
  const rows = [...page.matchAll(/^\| `(REBOX_\w+)` \| `(\w+)`/gm)].map(([, code, name]) => `${code} ${name}`);
  const declared = errors.flatMap(({ code, name }) => (code === undefined ? [] : [`${code} ${name}`]));
  assert.deepEqual(rows.sort(), declared.sort());
});

test("a class without a code of ReboxError would be noticed", () => {
  assert.deepEqual(
    findErrors(
      'export class A extends Error {\n}\nclass B extends C {}\nclass D extends XError {\n  readonly code = "REBOX_D";\n}',
    ),
    [
      { name: "A", base: "Error" },
      { name: "D", base: "XError", code: "REBOX_D" },
    ],
  );
});
