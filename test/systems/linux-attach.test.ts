import assert from "node:assert/strict";
import { test } from "node:test";
import { attachLinux } from "../../src/systems/linux/attach/attach";
import { AttachError } from "../../src/systems/errors";
import type { CpuFacts } from "../../src/systems/memory/guest-source";
import { MemoryImage } from "../kit/memory-image";

const RAM_SIZE = 0x1000000;
const TABLES = 0x1000;
/** Present, writable, and for the last one 2 MiB large. */
const LINK = 0x3n;
const LARGE = 0x83n;

const OFF: CpuFacts = {
  index: 0,
  cr0: 0x10n,
  cr3: 0n,
  cr4: 0n,
  efer: 0n,
  lstar: 0n,
  sysenterEip: 0n,
  idtBase: 0n,
  idtLimit: 0xffff,
};
const LONG: CpuFacts = { ...OFF, cr0: 0x80000011n, cr3: BigInt(TABLES), cr4: 0x20n, efer: 0x500n };

/** Memory of zeros, with tables of four levels that map 2 MiB of it at an address. */
function mapped(address: bigint): Uint8Array {
  const bytes = new Uint8Array(RAM_SIZE);
  const view = new DataView(bytes.buffer);
  for (let level = 4; level >= 2; level--) {
    const index = Number((address >> BigInt(12 + 9 * (level - 1))) & 511n);
    const table = TABLES * (5 - level);
    const entry = level === 2 ? 0x400000n | LARGE : BigInt(table + TABLES) | LINK;
    view.setBigUint64(table + index * 8, entry, true);
  }
  return bytes;
}

function fail(bytes: Uint8Array, cpu: CpuFacts): AttachError {
  try {
    attachLinux(new MemoryImage([{ address: 0, bytes }], [cpu]));
  } catch (error) {
    if (error instanceof AttachError) return error;
    throw error;
  }
  return assert.fail("a kernel was found");
}

test("a machine that has just been switched on has no kernel yet", () => {
  const error = fail(new Uint8Array(RAM_SIZE), OFF);
  assert.equal(error.isEarly, true);
  assert.equal(error.message, "no kernel yet: vCPU 0 has paging off; try again when the kernel has started");
});

test("a boot loader in 64-bit mode is no kernel yet", () => {
  assert.equal(fail(mapped(0x400000n), LONG).isEarly, true);
  // The first steps of a kernel, with handlers for exceptions but no entry for system calls.
  const bytes = mapped(0xffffffff81000000n);
  const gate = Buffer.from(bytes.buffer, 0x400000 + 14 * 16, 16);
  gate.writeUInt16LE(0x8e00, 4);
  gate.writeUInt16LE(0x8100, 6);
  gate.writeUInt32LE(0xffffffff, 8);
  const error = fail(bytes, { ...LONG, idtBase: 0xffffffff81000000n });
  assert.deepEqual([error.step, error.isEarly], ["page-tables", true]);
});

test("another operating system is recognised by where its system calls enter", () => {
  const entry = 0xfffff80012345678n;
  const error = fail(mapped(entry), { ...LONG, lstar: entry });
  assert.deepEqual([error.step, error.isEarly], ["image", false]);
  assert.match(error.message, /0xfffff80012345678.*top 2 GiB.*another operating system/);
});

test("memory without symbols where a Linux kernel would be is refused with its place", () => {
  const entry = 0xffffffff81000040n;
  const bytes = mapped(entry);
  // The direct map: physical memory from 0 on.
  const view = new DataView(bytes.buffer);
  view.setBigUint64(TABLES + 273 * 8, BigInt(0x8000) | LINK, true);
  view.setBigUint64(0x8000, BigInt(0x9000) | LINK, true);
  view.setBigUint64(0x9000, LARGE, true);
  const error = fail(bytes, { ...LONG, lstar: entry });
  assert.deepEqual([error.step, error.isEarly], ["symbols", false]);
  assert.match(error.message, /image at 0xffffffff81000000 to 0xffffffff81200000 .*no table of 256 tokens/);
});
