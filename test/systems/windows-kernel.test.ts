import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { MissingSymbolError, MissingTypeError } from "../../src/systems/errors";
import { addressOfStruct } from "../../src/systems/structs/struct-view";
import { findWindowsKernel } from "../../src/systems/windows/kernel/kernel-search";
import { WindowsKernel } from "../../src/systems/windows/kernel/windows-kernel";
import { readImageSymbols } from "../../src/systems/windows/symbols/image-symbols";
import { MemoryImage } from "../kit/memory-image";
import { WindowsMemory } from "../kit/windows/windows-memory";
import { type BuiltImage, buildImage, WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const KERNEL = `
  typedef unsigned short WORD; typedef unsigned long ULONG;
  struct _LIST_ENTRY { struct _LIST_ENTRY *Flink, *Blink; };
  struct _EPROCESS { ULONG Flags : 3, Level : 7; void *UniqueProcessId; struct _LIST_ENTRY Links; unsigned char ImageFileName[15];
                     struct _EPROCESS *Parent; int * __ptr32 Narrow; struct _PEB32 * __ptr32 Peb32; long ExitStatus; };
  struct _PEB32 { ULONG Ldr; };
  __declspec(dllexport) int NtBuildNumber = 19041; struct _PEB32 Peb = { 0x1234 };
  struct _EPROCESS Parent = { 0, 0, (void *)4, { 0, 0 }, "System" };
  struct _EPROCESS Child = { 5, 0, (void *)88, { 0, 0 }, "smss.exe", &Parent, 0, 0, -1 };
  __declspec(dllexport) struct _EPROCESS *PsInitialSystemProcess; int _fltused;
  int KiSystemCall64(int x) { return x + NtBuildNumber + Child.Level; }
  int start(int x) { return KiSystemCall64(x) + Peb.Ldr; }
`;

let folder: string;
const built = new Map<number, BuiltImage>();
before(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-windows-kernel-"));
  if (WITHOUT_WINDOWS_TOOLS) return;
  built.set(64, buildImage(folder, KERNEL, { bits: 64, name: "ntkrnlmp" }));
  built.set(32, buildImage(folder, KERNEL, { bits: 32, name: "ntkrnlpa" }));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function attach(bits: 32 | 64, base: bigint): WindowsKernel {
  const { exe, pdb } = built.get(bits)!;
  const memory = new WindowsMemory(bits === 64 ? "4-level" : "pae");
  memory.map(base, readFileSync(exe));
  const symbols = readImageSymbols(pdb);
  const entry = base + symbols.symbols.findAddress("KiSystemCall64")!;
  const cpu = memory.cpu(bits === 64 ? { lstar: entry } : { sysenterEip: entry });
  return new WindowsKernel(findWindowsKernel(new MemoryImage([{ address: 0, bytes: memory.bytes }], [cpu]))!, symbols);
}

for (const [bits, base] of [
  [64, 0x140000000n | 0xffff800000000000n],
  [32, 0x82800000n],
] as const) {
  test(
    `structs and symbols of a kernel of ${bits} bits in memory are read as those of Linux`,
    { skip: WITHOUT_WINDOWS_TOOLS },
    () => {
      const kernel = attach(bits, base);
      assert.equal(kernel.bits, bits);
      const child = kernel.struct("_EPROCESS", kernel.symbol("Child"));
      assert.deepEqual([child.ImageFileName, child.Flags, child.Level, child.ExitStatus], ["smss.exe", 5, 0, -1]);
      assert.equal(child.UniqueProcessId, 88n);
      assert.equal(child.Peb32, null);
      assert.equal(
        addressOfStruct(child.Links),
        kernel.symbol("Child") + BigInt(kernel.place("_EPROCESS", "Links").offset),
      );
      assert.equal(kernel.at("_EPROCESS", kernel.symbol("Parent")).text(15, "ImageFileName"), "System");
      const found = kernel.symbols.findSymbol(kernel.symbol("KiSystemCall64") + 1n);
      assert.deepEqual([found?.name, found?.address], ["KiSystemCall64", kernel.symbol("KiSystemCall64")]);
      assert.ok(kernel.symbol("NtBuildNumber") > base);
      assert.deepEqual(
        Array.from(kernel.symbols.symbolsWith(["Initial"]), ({ name }) => name),
        ["PsInitialSystemProcess"],
      );
      assert.throws(() => kernel.struct("_NOTHING", 0n), MissingTypeError);
      assert.throws(() => kernel.symbol("NtNothing"), MissingSymbolError);
    },
  );
}

test("symbols of another image are refused", { skip: WITHOUT_WINDOWS_TOOLS }, () => {
  const { image } = attach(64, 0xfffff80312400000n);
  assert.throws(
    () => new WindowsKernel(image, readImageSymbols(built.get(32)!.pdb)),
    /has the GUID .* but the kernel wants ntkrnlmp\.pdb/,
  );
});
