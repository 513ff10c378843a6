import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { PROJECT } from "../kit/project";

const SYSTEMS = join(PROJECT, "src/systems");

/** The floors of systems/linux from the lowest up; folders of one floor may use each other, as long as no circle arises. */
const FLOORS = [["structs"], ["files", "processes", "modules", "network", "system"], ["attach"], ["."]];

function listImports(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/^(?:import|export) [^;]*? from "(\.[^"]*)";$/gm)].map(
    ([, path]) => `${join(dirname(file), path as string)}.ts`,
  );
}

const FILES = readdirSync(SYSTEMS, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => join(SYSTEMS, name));
const IMPORTS = new Map(FILES.map((file) => [file, listImports(file).filter((path) => path.startsWith(SYSTEMS))]));

test("imports within systems/linux go down its floors: structs, its subjects, attach, the faces", () => {
  const linux = join(SYSTEMS, "linux");
  const floorOf = (file: string): number =>
    FLOORS.findIndex((folders) => folders.includes(relative(linux, dirname(file)) || "."));
  const inside = FILES.filter((file) => file.startsWith(`${linux}/`));
  assert.ok(inside.length > 40);
  for (const file of inside) {
    assert.ok(floorOf(file) >= 0, `${file} is on no floor`);
    for (const imported of IMPORTS.get(file) ?? []) {
      if (!imported.startsWith(`${linux}/`)) continue;
      assert.ok(
        floorOf(imported) <= floorOf(file),
        `${relative(SYSTEMS, file)} imports ${relative(SYSTEMS, imported)}`,
      );
    }
  }
});

test("memory and symbols know nothing of Linux' structs", () => {
  for (const [file, imports] of IMPORTS) {
    if (file.startsWith(join(SYSTEMS, "linux/"))) continue;
    assert.deepEqual(
      imports.filter((imported) => imported.startsWith(join(SYSTEMS, "linux/"))),
      [],
      file,
    );
  }
});

test("no file of systems imports itself through others, not even a type", () => {
  const finished = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    if (finished.has(file)) return;
    assert.ok(
      !way.includes(file),
      [...way.slice(way.indexOf(file)), file].map((one) => relative(SYSTEMS, one)).join(" -> "),
    );
    for (const imported of IMPORTS.get(file) ?? []) visit(imported, [...way, file]);
    finished.add(file);
  };
  for (const file of FILES) visit(file, []);
});
