import assert from "node:assert/strict";
import { test } from "node:test";
import { scanForKernel } from "../../src/systems/linux/attach/kernel-scan";
import { scanForWindows } from "../../src/systems/windows/kernel/kernel-scan";
import { MemoryImage } from "../kit/memory-image";
import { Ram } from "../../src/systems/memory/ram";

const PAGE = 0x1000;
const SIZE = 0x4000000;

/** Writes the gates that an interrupt table of 64 bits has (Intel SDM volume 3, 6.14.1). */
function writeGates(view: DataView, page: number): void {
  for (const vector of [0, 3, 6, 13, 14]) {
    view.setUint32(page + vector * 16, 0x00100000, true);
    view.setUint32(page + vector * 16 + 4, 0x81008e00, true);
    view.setUint32(page + vector * 16 + 8, 0xffffffff, true);
  }
}

/** Counts what is read. */
class CountingRam extends Ram {
  reads = 0;

  override findWord32(address: number): number {
    this.reads++;
    return super.findWord32(address);
  }
}

/** Looks for a kernel of Linux, then for one of Windows. */
function scan(bytes: Uint8Array) {
  const ram = new CountingRam(new MemoryImage([{ address: 0, bytes }], []));
  const spans = [{ address: 0, size: bytes.length }];
  return { found: scanForKernel(ram, spans) ?? scanForWindows(ram, spans), reads: ram.reads };
}

test("no kernel is found in memory without one", () => {
  assert.equal(scan(new Uint8Array(SIZE)).found, undefined);
  const bytes = new Uint8Array(SIZE);
  writeGates(new DataView(bytes.buffer), PAGE);
  assert.equal(scan(bytes).found, undefined);
});

test("memory of nothing but page tables that lead to each other is given up, not walked for ever", () => {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  for (let page = PAGE; page < SIZE; page += PAGE) {
    // Present and writable; the lowest tables, which each walk comes to last, hold nothing.
    const isEmpty = page < SIZE / 2;
    for (let index = 0; index < 512 && !isEmpty; index++) {
      const target = index < 510 ? (page - SIZE / 2 + index * PAGE) % (SIZE / 2) : page;
      view.setBigUint64(page + index * 8, BigInt(target) | 3n, true);
    }
  }
  writeGates(view, 0);
  const { found, reads } = scan(bytes);
  assert.equal(found, undefined);
  // Each table alone leads to 262144 entries: all of them would be 2 thousand millions.
  assert.ok(reads < 100_000_000, `${reads} words were read`);
});
