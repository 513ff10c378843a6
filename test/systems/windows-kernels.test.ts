import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { findPlace, getPlace } from "../../src/systems/symbols/member-path";
import { type ImageSymbols, readImageSymbols } from "../../src/systems/windows/symbols/image-symbols";
import { findInFolder } from "../../src/systems/windows/symbols/symbol-folder";
import { listMissingMembers, NEEDED_MEMBERS } from "../../src/systems/windows/structs/needed-members";
import { listLayouts, listSymbolFiles, WINDOWS_DATA, WITHOUT_WINDOWS_DATA } from "../kit/windows/windows-data";

const OPTIONS = { skip: WITHOUT_WINDOWS_DATA };
const kernels = WITHOUT_WINDOWS_DATA ? [] : listSymbolFiles().filter(({ pdb }) => pdb === "ntkrnlmp.pdb");
const read = ({ file }: { readonly file: string }): ImageSymbols =>
  readImageSymbols(join(WINDOWS_DATA, "symbols", file));

/** The offsets that two extractions of Microsoft's files agree on, in hexadecimal, by update of a kernel. */
const OFFSETS: Readonly<Record<string, readonly string[]>> = {
  "_KPROCESS.DirectoryTableBase": ["28", "28", "28", "28", "28", "28"],
  "_EPROCESS.UniqueProcessId": ["180", "2e0", "2e8", "2e0", "2e8", "440"],
  "_EPROCESS.ActiveProcessLinks": ["188", "2e8", "2f0", "2e8", "2f0", "448"],
  "_EPROCESS.ImageFileName": ["2e0", "438", "450", "450", "450", "5a8"],
  "_EPROCESS.Peb": ["338", "3e8", "3f8", "3f8", "3f8", "550"],
  "_EPROCESS.VadRoot": ["448", "5d8", "620", "628", "658", "7d8"],
  "_EPROCESS.ObjectTable": ["200", "408", "418", "418", "418", "570"],
  "_ETHREAD.Cid": ["3b8", "620", "630", "638", "648", "478"],
  "_LDR_DATA_TABLE_ENTRY.FullDllName": ["48", "48", "48", "48", "48", "48"],
  "_CMHIVE.FileFullPath": ["6d8", "6e0", "bb0", "718", "718", "718"],
};
const VERSIONS = [
  "6.1.7601.24540",
  "6.3.9600.21620",
  "10.0.14393.6343",
  "10.0.17763.5820",
  "10.0.18362.836",
  "10.0.19041.804",
];

for (const kernel of kernels) {
  test(`the kernel ${kernel.version} is found by its identity, and has every member that readers need`, OPTIONS, () => {
    const identity = { name: kernel.pdb, guid: kernel.guid, age: kernel.age };
    assert.equal(findInFolder(join(WINDOWS_DATA, "symbols"), identity), join(WINDOWS_DATA, "symbols", kernel.file));
    const { types, symbols, identity: own, bits, form } = read(kernel);
    assert.deepEqual([own, bits, form], [identity, 64, "ISF"]);
    assert.deepEqual(listMissingMembers(types), []);
    assert.equal(symbols.count, kernel.symbols);
    for (const name of [
      "PsInitialSystemProcess",
      "PsActiveProcessHead",
      "PsLoadedModuleList",
      "NtBuildNumber",
      "KiSystemCall64",
    ]) {
      const address = symbols.findAddress(name);
      assert.ok(address !== undefined && address < 0x2000000n, name);
      assert.equal(symbols.findSymbol(address)?.address, address);
    }
    const named = [...types.compoundNames()];
    assert.ok(named.length > 700 && named.every((name) => !name.startsWith("__anonymous")), `${named.length} structs`);
    for (const name of named) {
      const type = types.findCompound(name)!;
      let before = 0;
      for (const { bitOffset, bitSize, type: inner, name: member } of type.members) {
        assert.ok(bitOffset >= before, `${name} lists ${member} behind what comes after it`);
        before = bitOffset;
        assert.ok(bitOffset + (bitSize || inner.size * 8) <= type.size * 8 || type.size === 0, `${name}.${member}`);
      }
    }
    const text = getPlace(types, "_EPROCESS", "ImageFileName").type;
    assert.ok(text.kind === "array" && text.element.kind === "integer" && text.element.meaning === "char");
  });
}

test("members lie where another extraction of the same kernels has them", OPTIONS, () => {
  for (const [index, version] of VERSIONS.entries()) {
    const { types } = read(kernels.find((kernel) => kernel.version === version)!);
    for (const [path, offsets] of Object.entries(OFFSETS)) {
      const [struct, member] = path.split(".") as [string, string];
      assert.equal(getPlace(types, struct, member).offset.toString(16), offsets[index], `${path} of ${version}`);
    }
  }
});

test("of each build from XP to 10, in both widths, every needed member has a form that is known", OPTIONS, () => {
  const layouts = listLayouts();
  assert.ok(layouts.length >= 40);
  for (const { version, architecture, types, parts } of layouts) {
    const find = (struct: string, path: string): boolean => {
      const [first, ...rest] = path.split(".");
      const member = (types[struct] ?? parts[struct])?.members[first!];
      return member !== undefined && (rest.length === 0 || find(member[1], rest.join(".")));
    };
    const missing = Object.values(NEEDED_MEMBERS)
      .flat()
      .filter(
        (forms) => !forms.split(" | ").some((form) => find(form.split(".")[0]!, form.split(".").slice(1).join("."))),
      );
    assert.deepEqual(missing, [], `${version} ${architecture}`);
  }
});

test("symbols without types, as of tcpip, are read", OPTIONS, () => {
  for (const driver of listSymbolFiles().filter(({ pdb }) => pdb === "tcpip.pdb")) {
    const { symbols, types } = read(driver);
    assert.equal(symbols.count, driver.symbols);
    assert.equal([...types.compoundNames()].length, 0);
  }
});

test("a needed member that is missing is named with its subject", OPTIONS, () => {
  const { types } = read(kernels[0]!);
  const less = Object.create(types, {
    findCompound: { value: (name: string) => (name === "_TOKEN" ? undefined : types.findCompound(name)) },
  }) as typeof types;
  assert.deepEqual(
    listMissingMembers(less),
    NEEDED_MEMBERS["security"]!.map((form) => `security: ${form}`),
  );
  assert.equal(findPlace(types.findCompound("_EPROCESS")!, "NoSuchMember"), undefined);
});
