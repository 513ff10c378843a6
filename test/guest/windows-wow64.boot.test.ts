import assert from "node:assert/strict";
import { before, test } from "node:test";
import { attachWindows } from "../../src/systems/windows/attach-windows";
import type { WindowsGuest } from "../../src/systems/windows/windows-guest";
import { type NtImage, saveNtImage } from "../kit/nt/nt-image";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const OPTIONS = { skip: WITHOUT_WINDOWS_TOOLS };
/** Both forms in which a kernel knows the PEB of 32 bits: by its address, and by a struct. */
const LAYOUTS = ["windows-7-7601", "windows-8.1-9600", "windows-10-14393", "windows-10-19041"];

for (const layout of LAYOUTS) {
  let nt: NtImage;
  let guest: WindowsGuest;

  before(async () => {
    if (WITHOUT_WINDOWS_TOOLS) return;
    nt = await saveNtImage({ script: ["start smss.exe", "start32 old.exe", "hold"], layout });
    guest = attachWindows(nt.image, { findSymbols: nt.findSymbols })!;
  });

  test(`a process of 32 bits of ${layout} has the modules of both its loaders, each once`, OPTIONS, () => {
    const told = nt.truth.filter(({ event }) => event === "process");
    const widths = guest.getProcessList().map(({ name, isWow64 }) => [name, isWow64]);
    assert.deepEqual(
      widths,
      told.map(({ name }) => [name, name === "old.exe"]),
    );
    const process = guest.getProcessList().find(({ name }) => name === "old.exe")!;
    const modules = nt.truth.filter(({ event, pid }) => event === "module" && Number(pid) === process.pid);
    assert.equal(modules.length, 4);
    assert.deepEqual(
      process.modules.map(({ base, size, path }) => [base, BigInt(size), path]),
      modules.map(({ base, size, path }) => [base, size, path]),
    );
    const paths = process.memoryMap.filter(({ isImage }) => isImage).map(({ path }) => path);
    assert.ok(paths.includes("\\Windows\\SysWOW64\\ntdll.dll"), paths.join());
  });

  test(`names in programs and libraries of 32 bits of ${layout} are found`, OPTIONS, () => {
    const process = guest.getProcessList().find(({ name }) => name === "old.exe")!;
    const [program] = process.modules;
    const counter = guest.symbols.findAddress(process.pgd, "old.exe", "CountRun")!;
    assert.ok(program!.contains(counter));
    assert.equal(guest.symbols.findSymbol(process.pgd, counter)!.name, "CountRun");
    // Both libraries are called ntdll.dll: what the first does not have is the second's.
    const narrow = guest.symbols.resolve(process.pgd, "ntdll", "GetLibraryState")!;
    assert.ok(narrow < 1n << 32n);
    assert.ok(guest.symbols.resolve(process.pgd, "ntdll", "LdrInitializeThunk")! > 1n << 32n);
  });
}
