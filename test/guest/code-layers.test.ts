import assert from "node:assert/strict";
import { test } from "node:test";
import { CodeLayers } from "../../src/guest/artefacts/code-layers";

const KERNEL = 0xffff_ffff_8100_0000n;

function page(...code: number[]): Buffer {
  return Buffer.concat([Buffer.from(code), Buffer.alloc(4096 - code.length)]);
}

function add(layers: CodeLayers, start: bigint, layer: number, ...code: number[]): void {
  layers.add({ start, end: start + 4096n, layer, pages: new Map([[start, page(...code)]]) });
}

test("code is one layer above the code that made its memory executable", () => {
  const layers = new CodeLayers();
  layers.noteMade(0x1000n, 0x2000n, [0x40_1000n]);
  assert.deepEqual(layers.judge(0x1010n, page(1), 0n), { layer: 1, isNew: true });
  add(layers, 0x1000n, 1, 1);
  layers.noteMade(0x5000n, 0x6000n, [0x7f00_0000_0000n, 0x1020n]);
  assert.deepEqual(layers.judge(0x5000n, page(2), 0n), { layer: 2, isNew: true });
  layers.noteMade(0x8000n, 0x9000n, [0x40_1000n]);
  assert.deepEqual(layers.judge(0x8000n, page(3), 0n), { layer: 1, isNew: true });
});

test("code that was executed before is no news, also when data beside it has changed", () => {
  const layers = new CodeLayers();
  add(layers, 0x1000n, 1, 0x90, 0xc3);
  const changed = page(0x90, 0xc3);
  changed[2000] = 7;
  assert.equal(layers.judge(0x1000n, changed, 0x40_1000n), undefined);
  assert.deepEqual(layers.judge(0x1000n + 1990n, changed, 0x40_1000n), { layer: 1, isNew: false });
  layers.update(0x1000n + 1990n, changed);
  assert.equal(layers.judge(0x1000n + 1990n, changed, 0x40_1000n), undefined);
});

test("code that overwrites itself is a new layer in the same place; code that a file's code or the kernel writes there is not", () => {
  const layers = new CodeLayers();
  layers.noteMade(0x1000n, 0x2000n, []);
  add(layers, 0x1000n, 1, 1);
  assert.deepEqual(layers.judge(0x1000n, page(2), 0x40_1000n), { layer: 1, isNew: false });
  assert.deepEqual(layers.judge(0x1000n, page(2), KERNEL), { layer: 1, isNew: false });
  assert.deepEqual(layers.judge(0x1000n, page(2), 0x1000n), { layer: 2, isNew: true });
  add(layers, 0x1000n, 2, 2);
  assert.deepEqual(layers.judge(0x1000n, page(3), 0x1000n), { layer: 3, isNew: true });
});

test("a child's layers begin as those of its parent and are its own", () => {
  const parent = new CodeLayers();
  add(parent, 0x1000n, 1, 1);
  const child = parent.copy();
  add(child, 0x1000n, 2, 2);
  assert.equal(child.findLayer(0x1000n), 2);
  assert.equal(parent.findLayer(0x1000n), 1);
});
