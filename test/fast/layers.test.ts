import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";

const PROJECT = resolve(__dirname, "../../../..");
const SRC = join(PROJECT, "src");

/** The folders of src/ from the lowest up: each may import from itself and from those before it. See ARCHITECTURE.md. */
const LAYERS = [
  "config",
  "ownership",
  "memory",
  "symbols",
  "engine",
  "guest",
  "disks",
  "callbacks",
  "breakpoints",
  "guest-events",
  "volatility",
  "scripts",
  "investigation",
  "commands",
  "shell",
  "ui",
  "monitor",
  "machinery",
  "auxiliary",
  "analysis",
  "index.ts",
  "cli",
];

function listFiles(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? listFiles(path) : [path];
  });
}

function layerOf(path: string): string {
  return relative(SRC, path)
    .split("/")[0]!
    .replace(/^index$/, "index.ts");
}

function findUpwardImports(file: string, source: string): string[] {
  const own = LAYERS.indexOf(layerOf(file));
  return [...source.matchAll(/(?:from|import|require\()\s*"(\.[^"]+)"/g)]
    .map(([, target]) => layerOf(resolve(dirname(file), target!)))
    .filter((layer) => LAYERS.indexOf(layer) > own)
    .map((layer) => `${relative(PROJECT, file)} imports from ${layer}`);
}

test("every folder of src/ has its place in the layers", () => {
  const folders = new Set(listFiles(SRC).map(layerOf));
  assert.deepEqual(
    [...folders].filter((folder) => !LAYERS.includes(folder)),
    [],
  );
});

test("imports go downward only", () => {
  assert.deepEqual(
    listFiles(SRC).flatMap((file) => findUpwardImports(file, readFileSync(file, "utf8"))),
    [],
  );
});

test("an upward import would be found", () => {
  const file = join(SRC, "engine/engine.ts");
  assert.deepEqual(findUpwardImports(file, 'import { Cpu } from "../guest/cpu";'), [
    "src/engine/engine.ts imports from guest",
  ]);
});

test("what an operating system looks like in memory is read from memory and symbols alone, never from the engine", () => {
  const allowed = ["memory", "symbols", "guest"];
  const findOthers = (file: string, source: string): string[] =>
    [...source.matchAll(/(?:from|import|require\()\s*"([^"]+)"/g)]
      .map(([, target]) => target!)
      .filter((target) => {
        const path = relative(SRC, resolve(dirname(file), target));
        return target.startsWith(".") && (!allowed.includes(path.split("/")[0]!) || /^guest\/(?!linux\/)/.test(path));
      })
      .map((target) => `${relative(PROJECT, file)} imports ${target}`);
  const files = [join(SRC, "guest/linux"), join(SRC, "symbols"), join(SRC, "memory")].flatMap(listFiles);
  assert.deepEqual(
    files.flatMap((file) => findOthers(file, readFileSync(file, "utf8"))),
    [],
  );
  const file = join(SRC, "guest/linux/attach.ts");
  assert.equal(findOthers(file, 'import { Engine } from "../../engine/engine";').length, 1);
  assert.equal(findOthers(file, 'import { readVa } from "../memory";').length, 1);
});

test("only native/addon sees Node's headers, only native/qemu sees QEMU's", () => {
  const includes = (folder: string, pattern: RegExp) =>
    listFiles(join(PROJECT, folder))
      .filter((file) => /\.(c|cc|h)$/.test(file) && pattern.test(readFileSync(file, "utf8")))
      .map((file) => relative(PROJECT, file));
  assert.deepEqual(includes("native/qemu", /#include [<"](node_api|napi|uv|v8)/), []);
  assert.deepEqual(includes("native/addon", /#include "(qemu|exec|hw|target|cpu|rebox|tcg|system)[./]/), []);
});
