import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PdbError } from "../../src/systems/errors";
import type { CompoundType, Member } from "../../src/systems/symbols/guest-type";
import { getPlace } from "../../src/systems/symbols/member-path";
import { Pdb } from "../../src/systems/symbols/pdb/pdb";
import { PdbFileSource, pdbSourceOf } from "../../src/systems/symbols/pdb/pdb-source";
import { listIdentity, listPublics, listTypes } from "../kit/windows/pdb-listing";
import { takeStreams, words, writeStreams } from "../kit/windows/pdb-writer";
import { type BuiltImage, buildImage, WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

/** Every kind of type that kernels have; names as in Windows, none of its sources. */
const KERNEL = `
  typedef unsigned long ULONG; typedef unsigned char UCHAR; typedef unsigned long long ULONG64;
  enum mood { SAD = -2, GLAD = 7, MOST = 0x7fffffff };
  typedef struct _LIST_ENTRY { struct _LIST_ENTRY *Flink, *Blink; } LIST_ENTRY;
  struct _UNKNOWN;
  typedef union _LARGE { struct { ULONG Low; long High; } parts; long long Quad; } LARGE;
  typedef struct _EPROCESS {
    struct { ULONG First : 3; ULONG Second : 29; ULONG64 Wide : 40; };
    union { void *Object; ULONG64 Value; };
    LARGE CreateTime; LIST_ENTRY Links; UCHAR ImageFileName[15]; enum mood Mood;
    struct _UNKNOWN *Unknown; const volatile struct _EPROCESS *Parent; int (*Call)(void *, int);
    short Grid[3][5]; wchar_t *Name; double Ratio; _Bool Flag;
  } EPROCESS;
  EPROCESS PsInitialSystemProcess; ULONG NtBuildNumber = 19041; const int Constant = 9; static int Hidden = 3; int _fltused;
  struct { int Only; } Nameless;
  static __attribute__((noinline)) int KiHidden(int x) { return x + Hidden++; }
  int __attribute__((stdcall)) NtOpen(int a, int b) { return a * b + Nameless.Only; }
  int __attribute__((fastcall)) ObFast(int a, int b) { return a - b + Constant; }
  int start(int a) { PsInitialSystemProcess.Mood = SAD; return KiHidden(a) + NtOpen(a, 2) + ObFast(a, 3) + NtBuildNumber; }
`.replaceAll("wchar_t", "__WCHAR_TYPE__");
const LIBRARY = `
  struct Base { int first; virtual int call(int); static int shared; int plain(); enum Inner { A, B = 200 } inner; };
  struct Other { long long second; };
  struct Derived : Base, Other { struct Nested { char c; short s : 5; } nested; int Base::*member; int &reference; Derived(int &); };
  namespace space { class Named { public: int x; private: unsigned char y[7]; }; Named named; }
  struct Virtual : virtual Other { int third; Virtual(); };
  int Base::shared; int Base::call(int x) { return x; } int Base::plain() { return first; }
  Derived::Derived(int &r) : reference(r) {} Virtual::Virtual() {}
  int anchor; Derived derived(anchor);
  extern "C" int start() { Virtual local; return derived.call(3) + local.third + space::named.x; }
  extern "C" int _purecall() { return 0; } extern "C" int atexit(void (*)()) { return 0; }
`;

let folder: string;
const built = new Map<string, BuiltImage>();
before(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-pdb-"));
  if (WITHOUT_WINDOWS_TOOLS) return;
  for (const bits of [32, 64] as const) {
    built.set(`c ${bits}`, buildImage(folder, KERNEL, { bits, name: `kernel${bits}` }));
    built.set(`c++ ${bits}`, buildImage(folder, LIBRARY, { bits, name: `library${bits}`, language: "c++" }));
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

function open(path: string): Pdb {
  return new Pdb(pdbSourceOf(readFileSync(path)), path);
}

function describeMember({ name, bitOffset, bitSize, type }: Member): string {
  if (bitSize === 0) return `${name} at ${bitOffset / 8}`;
  const unit = type.size * 8;
  const start = bitOffset - (bitOffset % unit);
  return `${name} at ${start / 8} bit ${bitOffset - start} of ${bitSize}`;
}

function describe({ kind, name, size, members }: CompoundType): string {
  return `${kind} ${name} ${size}: ${members.map(describeMember).join(", ")}`;
}

for (const bits of [32, 64] as const) {
  for (const language of ["c", "c++"]) {
    const about = `of ${bits} bits in ${language === "c" ? "C" : "C++"}`;
    const options = { skip: WITHOUT_WINDOWS_TOOLS };

    test(`the structs and enumerations of a PDB file ${about} are those that llvm-pdbutil lists`, options, () => {
      const { pdb: path } = built.get(`${language} ${bits}`)!;
      const pdb = open(path);
      assert.deepEqual({ guid: pdb.guid, age: pdb.age }, listIdentity(path));
      assert.equal(pdb.bits, bits);
      const listed = listTypes(path).filter(({ name }) => !/<unnamed/.test(name));
      const compounds = listed.filter(({ kind }) => kind !== "ENUM");
      assert.deepEqual(
        compounds.map(({ name }) => describe(pdb.types.findCompound(name)!)),
        compounds.map(
          ({ kind, name, size, fields }) =>
            `${kind === "UNION" ? "union" : "struct"} ${name} ${size}: ${fields.join(", ")}`,
        ),
      );
      assert.ok(compounds.length >= 3, `${compounds.length} structs`);
      assert.deepEqual([...pdb.types.compoundNames()].sort(), compounds.map(({ name }) => name).sort());
      const enums = listed.filter(({ kind }) => kind === "ENUM");
      // llvm-pdbutil prints negative values as unsigned ones.
      const values = enums.map(({ name }) =>
        [...pdb.types.findEnum(name)!.values].map(([key, value]) => `${key} = ${BigInt.asUintN(32, value)}`),
      );
      assert.deepEqual(
        values,
        enums.map(({ fields }) => fields),
      );
      assert.deepEqual([...pdb.types.enumNames()].sort(), enums.map(({ name }) => name).sort());
      assert.ok(enums.length >= 1);
    });

    test(`the public symbols of a PDB file ${about} have the addresses that llvm-pdbutil lists`, options, () => {
      const { pdb: path } = built.get(`${language} ${bits}`)!;
      const { symbols } = open(path);
      const publics = listPublics(path);
      assert.ok(publics.length >= 5, `${publics.length} symbols`);
      for (const { name, rva, isFunction } of publics) {
        assert.equal(symbols.findAddress(name), BigInt(rva), name);
        const found = symbols.findSymbol(BigInt(rva));
        assert.equal(found?.address, BigInt(rva), name);
        assert.equal(found?.type.toUpperCase() === "T", isFunction, name);
      }
      const names = Array.from(symbols.symbols(), ({ name, address }) => `${name} ${address}`);
      assert.equal(new Set(names).size, names.length, "a symbol is listed twice");
    });
  }

  test(`members of every kind have their types, ${bits} bits`, { skip: WITHOUT_WINDOWS_TOOLS }, () => {
    const { types } = open(built.get(`c ${bits}`)!.pdb);
    const type = (path: string) => getPlace(types, "_EPROCESS", path).type;
    const size = bits / 8;
    assert.equal(types.pointerSize, size);
    assert.deepEqual(type("ImageFileName").kind, "array");
    assert.deepEqual(type("ImageFileName[2]"), {
      ...{ kind: "integer", name: "unsigned char", size: 1, isSigned: false, meaning: "char" },
    });
    const parent = type("Parent");
    assert.equal(parent.kind === "pointer" && parent.target, types.findCompound("_EPROCESS"));
    const unknown = type("Unknown");
    assert.deepEqual(unknown.kind === "pointer" && unknown.target, { kind: "incomplete", name: "_UNKNOWN", size: 0 });
    const call = type("Call");
    assert.equal(call.kind === "pointer" && call.target.kind, "function");
    const grid = type("Grid");
    assert.deepEqual(grid.kind === "array" && [grid.count, grid.size, type("Grid[2]").size], [3, 30, 10]);
    assert.equal(getPlace(types, "_EPROCESS", "Grid[2][4]").offset - getPlace(types, "_EPROCESS", "Grid").offset, 28);
    assert.deepEqual([type("Ratio").kind, type("Flag").kind === "integer" && type("Flag").size], ["float", 1]);
    const name = type("Name");
    assert.deepEqual(name.kind === "pointer" && name.target.size, 2);
    assert.deepEqual(type("CreateTime.parts.High").size, 4);
    assert.deepEqual(types.findEnum("mood")?.values.get("SAD"), -2n);
    assert.equal(types.findTypedef("EPROCESS"), types.findCompound("_EPROCESS"));
    assert.deepEqual(types.findTypedef("ULONG")?.size, 4);
    const variables = new Map(types.variables());
    assert.equal(variables.get("PsInitialSystemProcess"), types.findCompound("_EPROCESS"));
    const nameless = variables.get("Nameless");
    assert.ok(nameless?.kind === "struct" && nameless.name === "" && nameless.members[0]?.name === "Only");
    assert.equal(types.findCompound("_UNKNOWN"), undefined);
    assert.equal(types.findCompound("constructor"), undefined);
  });
}

test("functions that no other file sees have their size and place", { skip: WITHOUT_WINDOWS_TOOLS }, () => {
  const { symbols } = open(built.get("c 64")!.pdb);
  const address = symbols.findAddress("KiHidden")!;
  const hidden = symbols.findSymbol(address + 1n);
  assert.deepEqual([hidden?.name, hidden?.type, hidden?.address], ["KiHidden", "t", address]);
  assert.ok(hidden!.size > 1 && hidden!.size < 64);
});

test(
  "32-bit functions are found by their name in the source and by their decorated one",
  { skip: WITHOUT_WINDOWS_TOOLS },
  () => {
    const { pdb: path } = built.get("c 32")!;
    const { symbols } = open(path);
    const decorated = listPublics(path).map(({ name }) => name);
    for (const name of ["_NtOpen@8", "@ObFast@8", "_start", "_NtBuildNumber"])
      assert.ok(decorated.includes(name), name);
    for (const name of ["NtOpen", "ObFast", "start", "NtBuildNumber"]) {
      assert.equal(symbols.findSymbol(symbols.findAddress(name)!)?.name, name);
    }
    assert.equal(symbols.findAddress("_NtOpen@8"), symbols.findAddress("NtOpen"));
    assert.equal(symbols.findAddress("@ObFast@8"), symbols.findAddress("ObFast"));
  },
);

test("a file is read in parts, whatever the size and order of its blocks", { skip: WITHOUT_WINDOWS_TOOLS }, () => {
  const { pdb: path } = built.get("c 64")!;
  const whole = open(path);
  const source = new PdbFileSource(path);
  const scattered = new Pdb(pdbSourceOf(writeStreams(takeStreams(readFileSync(path)))), "scattered");
  for (const pdb of [new Pdb(source, path), scattered]) {
    assert.equal(pdb.guid, whole.guid);
    assert.deepEqual([...pdb.symbols.symbols()], [...whole.symbols.symbols()]);
    assert.deepEqual([...pdb.types.compoundNames()], [...whole.types.compoundNames()]);
  }
  source.close();
});

test(
  "in an image that was reordered, symbols are where the table of moves puts them",
  { skip: WITHOUT_WINDOWS_TOOLS },
  () => {
    const { pdb: path } = built.get("c 64")!;
    const before = open(path).symbols;
    const rva = (name: string): number => Number(before.findAddress(name));
    const streams = takeStreams(readFileSync(path));
    const information = Buffer.from(streams[3]!);
    const headerAt = information.length - information.readInt32LE(48);
    const sectionHeaders = information.readUInt16LE(headerAt + 10);
    // As if the linker's sections had been moved up by a page, one function been moved alone, and another removed.
    const moved = Buffer.from(streams[sectionHeaders]!);
    for (let at = 12; at < moved.length; at += 40) moved.writeUInt32LE(moved.readUInt32LE(at) + 0x1000, at);
    const originals = streams.push(Buffer.from(streams[sectionHeaders]!)) - 1;
    const functions = ["NtOpen", "ObFast", "start"].map((name) => [rva(name), name] as const).sort(([a], [b]) => a - b);
    const [first, second, third] = functions.map(([at]) => at) as [number, number, number];
    const moves = [
      ...[0, 0x1000, first, 0x9000, second, 0, third, third + 0x1000],
      ...[0x2000, 0x3000, 0x3000, 0x4000],
    ];
    const omap = streams.push(words(moves)) - 1;
    streams[sectionHeaders] = moved;
    information.writeUInt16LE(omap, headerAt + 8);
    const longer = Buffer.concat([information, Buffer.alloc(22)]).subarray(0, headerAt + 22);
    for (let at = information.length; at < longer.length; at += 2) longer.writeUInt16LE(0xffff, at);
    longer.writeUInt16LE(originals, headerAt + 20);
    longer.writeInt32LE(22, 48);
    streams[3] = longer;
    const { symbols } = new Pdb(pdbSourceOf(writeStreams(streams)), "moved");
    const names = functions.map(([, name]) => name);
    assert.deepEqual(
      names.map((name) => symbols.findAddress(name)),
      [0x9000n, undefined, BigInt(third + 0x1000)],
    );
    assert.equal(symbols.findAddress("NtBuildNumber"), before.findAddress("NtBuildNumber")! + 0x1000n);
    assert.equal(symbols.findSymbol(0x9000n)?.name, names[0]);
  },
);

test("a file that is no PDB file is refused by what it is", () => {
  const refuse = (bytes: Buffer, message: RegExp): void =>
    assert.throws(
      () => new Pdb(pdbSourceOf(bytes), "x"),
      (error) => error instanceof PdbError && message.test(error.message),
    );
  refuse(Buffer.from("MZ"), /does not begin as a PDB file/);
  refuse(Buffer.alloc(0), /does not begin as a PDB file/);
  refuse(Buffer.from("Microsoft C/C++ program database 2.00\r\n\x1aJG\0\0"), /Visual C\+\+ 6/);
  refuse(writeStreams([Buffer.alloc(0)]), /no stream 1/);
  refuse(writeStreams([Buffer.alloc(0), words([19990604, 1, 1])]), /version 19990604, without a GUID/);
  const empty = [Buffer.alloc(0), words([20000404, 1, 1, 0, 0, 0, 0])];
  refuse(writeStreams(empty).subarray(0, 1024), /blocks of 512 bytes/);
  const arm = Buffer.alloc(64);
  arm.writeUInt32LE(0xffffffff, 0);
  arm.writeUInt16LE(0xaa64, 58);
  refuse(writeStreams([...empty, Buffer.alloc(0), arm]), /processor 0xaa64/);
  const bare = new Pdb(pdbSourceOf(writeStreams([...empty, Buffer.alloc(0)])), "bare");
  assert.deepEqual([bare.symbols.count, [...bare.types.compoundNames()]], [0, []]);
});
