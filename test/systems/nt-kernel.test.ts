import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findPlace } from "../../src/systems/symbols/member-path";
import type { TypeSource } from "../../src/systems/symbols/type-source";
import { splitCommandLine } from "../../src/systems/windows/processes/command-line";
import { readImageSymbols } from "../../src/systems/windows/symbols/image-symbols";
import { buildNtKernel } from "../kit/nt/nt-kernel";
import { type NtLayout, readLayout } from "../kit/nt/nt-layout";
import { listSymbolFiles, WINDOWS_DATA, WITHOUT_WINDOWS_DATA } from "../kit/windows/windows-data";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

/** The real kernel that a layout was taken of. */
const REAL = new Map([
  ["windows-7-7601", "339E74133576439CBCDF7E0229DA3773"],
  ["windows-8.1-9600", "169C65213E3E42DDBEB4E3AC66312B82"],
  ["windows-10-14393", "DBBC830E3E9A48FDA25A2144C146930E"],
  ["windows-10-17763", "2EA98876FE209B61954090E803113013"],
  ["windows-10-19041", "606FF669409B00F7FC8C61A9C1670129"],
  ["windows-server-20348", "BA02CB8F36DB1DACC5DB9F1ED97AAC96"],
  ["windows-11-22000", "0CE4A95C0CD782A7596B034D8648E585"],
]);

/** Members of a struct without a name have one in the layout: that of the member which holds them. */
function findReal(types: TypeSource, struct: string, member: string) {
  const type = types.findCompound(struct);
  if (type) return findPlace(type, member);
  const [, owner, path] = /^(_.*?)_(u\d?)$/.exec(struct) ?? [];
  const outer = owner === undefined ? undefined : types.findCompound(owner);
  return outer && findPlace(outer, `${path}.${member}`);
}

function compare(layout: NtLayout, types: TypeSource): number {
  let count = 0;
  for (const [struct, { size, members }] of Object.entries(layout.types)) {
    const real = types.findCompound(struct);
    if (real) assert.equal(real.size, size, struct);
    const start = real ? 0 : findReal(types, struct, Object.keys(members)[0]!)!.offset;
    for (const [member, [offset, type]] of Object.entries(members)) {
      const place = findReal(types, struct, member);
      assert.ok(place, `${struct}.${member}`);
      assert.equal(
        place.offset - start,
        offset + Math.floor(Number(/:(\d+):/.exec(type)?.[1] ?? 0) / 8),
        `${struct}.${member}`,
      );
      const bits = /:(\d+):(\d+)$/.exec(type);
      if (bits)
        assert.deepEqual([place.bit, place.bitSize], [Number(bits[1]) % 8, Number(bits[2])], `${struct}.${member}`);
      count++;
    }
  }
  return count;
}

for (const [name, guid] of REAL) {
  test(`the layout ${name} is that of the real kernel's symbols`, { skip: WITHOUT_WINDOWS_DATA }, () => {
    const { file } = listSymbolFiles().find((entry) => entry.guid === guid)!;
    const path = [file, `${file}.gz`].map((one) => join(WINDOWS_DATA, "symbols", one)).find((one) => existsSync(one))!;
    assert.ok(compare(readLayout(name), readImageSymbols(path).types) > 150);
  });
}

test("the test kernel's own PDB file has its structs as the layout says", { skip: WITHOUT_WINDOWS_TOOLS }, () => {
  const { folder, layout } = buildNtKernel();
  assert.ok(compare(layout, readImageSymbols(join(folder, "ntkrnlmp.pdb")).types) > 150);
});

test("a command line is split as Windows' own programs split theirs", () => {
  // The examples of https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments
  assert.deepEqual(splitCommandLine(String.raw`p "a b c" d e`), ["p", "a b c", "d", "e"]);
  assert.deepEqual(splitCommandLine(String.raw`p "ab\"c" "\\" d`), ["p", 'ab"c', "\\", "d"]);
  assert.deepEqual(splitCommandLine(String.raw`p a\\\b d"e f"g h`), ["p", String.raw`a\\\b`, "de fg", "h"]);
  assert.deepEqual(splitCommandLine(String.raw`p a\\\"b c d`), ["p", String.raw`a\"b`, "c", "d"]);
  assert.deepEqual(splitCommandLine(String.raw`p a\\\\"b c" d e`), ["p", String.raw`a\\b c`, "d", "e"]);
  assert.deepEqual(splitCommandLine(String.raw`p a"b"" c d`), ["p", 'ab" c d']);
  assert.deepEqual(splitCommandLine(String.raw`"C:\Program Files\a.exe"  x`), [
    String.raw`C:\Program Files\a.exe`,
    "x",
  ]);
  assert.deepEqual(splitCommandLine(""), []);
});
