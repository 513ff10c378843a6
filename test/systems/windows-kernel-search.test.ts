import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import type { CpuFacts } from "../../src/systems/memory/guest-source";
import { Pdb } from "../../src/systems/symbols/pdb/pdb";
import { pdbSourceOf } from "../../src/systems/symbols/pdb/pdb-source";
import { findWindowsKernel } from "../../src/systems/windows/kernel/kernel-search";
import { MemoryImage } from "../kit/memory-image";
import { type Paging, WindowsMemory } from "../kit/windows/windows-memory";
import { type BuiltImage, buildImage, WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const KERNEL = `
  int __declspec(dllexport) NtBuildNumber = 19041;
  __declspec(dllexport) void *PsInitialSystemProcess; int _fltused;
  int KiSystemCall64(int x) { return x + NtBuildNumber; }
  int start(int x) { return KiSystemCall64(x); }
`;
/** Larger than what lies between the base of any kernel and its entry, with a section that is not in memory. */
const DRIVER = `int _fltused; int start(int x) { return x; }`;

let folder: string;
const built = new Map<string, BuiltImage>();
before(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-kernel-search-"));
  if (WITHOUT_WINDOWS_TOOLS) return;
  for (const [name, bits] of [
    ["ntkrnlmp", 64],
    ["ntkrnlpa", 32],
    ["ntoskrnl", 32],
  ] as const) {
    built.set(name, buildImage(folder, KERNEL, { bits, name }));
  }
  built.set("driver", buildImage(folder, DRIVER, { bits: 64, name: "driver" }));
  built.set("evil", buildImage(folder, DRIVER, { bits: 64, name: "ntkrla57" }));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const image = (name: string): Buffer => readFileSync(built.get(name)!.exe);

function rvaOf(name: string, symbol: string): bigint {
  const { pdb } = built.get(name)!;
  return new Pdb(pdbSourceOf(readFileSync(pdb)), pdb).symbols.findAddress(symbol)!;
}

function find(memory: WindowsMemory, registers: Partial<CpuFacts>): ReturnType<typeof findWindowsKernel> {
  return findWindowsKernel(new MemoryImage([{ address: 0, bytes: memory.bytes }], [memory.cpu(registers)]));
}

const WAYS: readonly [about: string, paging: Paging, name: string, base: bigint][] = [
  ["of 64 bits", "4-level", "ntkrnlmp", 0xfffff80312400000n],
  ["of 64 bits with addresses of 57", "5-level", "ntkrnlmp", 0xfffff80312400000n],
  ["of 32 bits with PAE", "pae", "ntkrnlpa", 0x82800000n],
  ["of 32 bits without PAE", "legacy", "ntoskrnl", 0x804d7000n],
];

for (const [about, paging, name, base] of WAYS) {
  test(`a kernel ${about} is found from where system calls enter it`, { skip: WITHOUT_WINDOWS_TOOLS }, () => {
    const memory = new WindowsMemory(paging);
    memory.map(base, image(name));
    const entry = base + rvaOf(name, "KiSystemCall64");
    const wide = paging.endsWith("level");
    const found = find(memory, wide ? { lstar: entry } : { sysenterEip: entry });
    assert.equal(found?.base, base);
    assert.deepEqual(found?.found, { cpu: 0, by: wide ? "LSTAR" : "SYSENTER_EIP", entry });
    const { guid, age } = new Pdb(pdbSourceOf(readFileSync(built.get(name)!.pdb)), name);
    assert.deepEqual(found?.record, { name: `${name}.pdb`, guid, age });
    assert.equal(found?.memory.u32(base + rvaOf(name, "NtBuildNumber")), 19041);
  });

  test(`a kernel ${about} is found from where interrupts enter it`, { skip: WITHOUT_WINDOWS_TOOLS }, () => {
    const memory = new WindowsMemory(paging);
    memory.map(base, image(name));
    const entry = base + rvaOf(name, "start");
    const wide = paging.endsWith("level");
    const idtBase = base + 0x100000n;
    memory.map(idtBase, memory.interruptTable(wide ? 0 : 0x2e, entry));
    const found = find(memory, { idtBase, idtLimit: 0xfff });
    assert.equal(found?.base, base);
    assert.deepEqual(found?.found, { cpu: 0, by: wide ? "IDT[0]" : "IDT[0x2e]", entry });
  });
}

test("pages that are missing and images in between do not end the search", { skip: WITHOUT_WINDOWS_TOOLS }, () => {
  const memory = new WindowsMemory("4-level");
  const base = 0xfffff80000200000n;
  memory.map(base, image("ntkrnlmp"), 0xb00000);
  // A driver in the middle of the kernel's range, with gaps before and behind.
  memory.map(base + 0x400000n, image("driver"));
  const entry = base + 0xa00000n;
  memory.map(entry, Buffer.alloc(0x1000, 0x90));
  const found = find(memory, { lstar: entry + 0x40n });
  assert.equal(found?.base, base);
  assert.equal(found?.record.name, "ntkrnlmp.pdb");
});

test(
  "an image with a kernel's name that the processor does not enter, or that exports nothing, is no kernel",
  { skip: WITHOUT_WINDOWS_TOOLS },
  () => {
    const base = 0xfffff80000200000n;
    const beside = new WindowsMemory("4-level");
    beside.map(base, image("ntkrnlmp"));
    beside.map(base + 0x800000n, Buffer.alloc(0x1000, 0x90));
    assert.equal(find(beside, { lstar: base + 0x800040n }), undefined);
    const evil = new WindowsMemory("4-level");
    evil.map(base, image("evil"));
    assert.equal(find(evil, { lstar: base + 0x1000n }), undefined);
  },
);

test(
  "a machine without paging, without an entry or with another system has no Windows kernel",
  { skip: WITHOUT_WINDOWS_TOOLS },
  () => {
    const memory = new WindowsMemory("4-level");
    assert.equal(find(memory, {}), undefined);
    assert.equal(find(memory, { cr0: 0n, lstar: 0xfffff80000200000n }), undefined);
    assert.equal(find(memory, { lstar: 0xffffffff81000040n }), undefined);
    assert.equal(find(memory, { lstar: 0x1000n }), undefined);
    assert.equal(findWindowsKernel(new MemoryImage([], [])), undefined);
  },
);

test(
  "memory that was changed anywhere gives a kernel or none, and nothing else",
  { skip: WITHOUT_WINDOWS_TOOLS, timeout: 120_000 },
  () => {
    const memory = new WindowsMemory("4-level");
    const base = 0xfffff80312400000n;
    memory.map(base, image("ntkrnlmp"));
    const entry = base + rvaOf("ntkrnlmp", "KiSystemCall64");
    const extreme = fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffff, 0xfffffffe, 0xffffffff, 0x1003);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(memory.used / 4 - 1), extreme), { minLength: 1, maxLength: 12 }),
        (changes) => {
          const bytes = Buffer.from(memory.bytes.subarray(0, memory.used));
          for (const [word, value] of changes) bytes.writeUInt32LE(value, word * 4);
          const found = findWindowsKernel(new MemoryImage([{ address: 0, bytes }], [memory.cpu({ lstar: entry })]));
          assert.ok(found === undefined || found.base <= entry);
        },
      ),
      { numRuns: 60 },
    );
  },
);
