import assert from "node:assert/strict";
import { before, test } from "node:test";
import { attachWindows } from "../../src/systems/windows/attach-windows";
import { AddressError } from "../../src/systems/errors";
import type { WindowsGuest } from "../../src/systems/windows/windows-guest";
import { type NtImage, saveNtImage } from "../kit/nt/nt-image";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const OPTIONS = { skip: WITHOUT_WINDOWS_TOOLS };

for (const layout of ["windows-7-7601", "windows-10-19041"]) {
  let nt: NtImage;
  let guest: WindowsGuest;

  before(async () => {
    if (WITHOUT_WINDOWS_TOOLS) return;
    const script = ["start smss.exe", "start idle.exe", "trim idle.exe", "hold"];
    nt = await saveNtImage({ script, layout });
    guest = attachWindows(nt.image, { findSymbols: nt.findSymbols })!;
  });

  test(
    `pages that were taken from a process of ${layout} and are still in memory are read, others say where they are`,
    OPTIONS,
    () => {
      const process = guest.getProcessList().find(({ name }) => name === "idle.exe")!;
      const other = guest.getProcessList().find(({ name }) => name === "smss.exe")!;
      const trimmed = nt.truth.filter(({ event }) => event === "trimmed");
      assert.deepEqual(
        trimmed.map(({ pid, way }) => [Number(pid), Number(way)]),
        [0, 1, 2, 3, 4].map((way) => [process.pid, way]),
      );
      // The PEB, the loader's list, the parameters and the environment lie in pages that four ways have taken.
      const path = "C:\\Windows\\System32\\idle.exe";
      assert.deepEqual([process.executable, process.commandLine], [path, [path, "-x", "two words"]]);
      assert.deepEqual(process.environment, ["SystemRoot=C:\\Windows", "NAME=idle.exe"]);
      assert.deepEqual(
        process.modules.map(({ path: file }) => file),
        [path, "C:\\Windows\\System32\\ntdll.dll"],
      );
      for (const { address } of trimmed.slice(0, 4)) {
        assert.equal(process.space.read(address as bigint, 4096).length, 4096);
      }
      assert.ok(
        process.space.translate(trimmed[0]!.address as bigint) !== other.space.translate(trimmed[0]!.address as bigint),
      );
      const read = (address: bigint) => () => process.space.read(address, 8);
      const gone = trimmed[4]!.address as bigint;
      const isPaged = (error: unknown) =>
        error instanceof AddressError && /: its page is in the page file 1, at page 0x1234$/.test(error.message);
      assert.throws(read(gone), isPaged);
      // Within a table of pages that is there, an entry that is 0 is a page that was never used.
      assert.throws(read(gone + 0x8000n), /its page was not used yet/);
      assert.throws(read(0x123456789000n), /nothing is mapped at 0x123456789000$/);
    },
  );
}
