import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { SymbolsError } from "../../src/systems/errors";
import type { CompoundType, GuestType } from "../../src/systems/symbols/guest-type";
import { writeImageIsf } from "../../src/systems/windows/symbols/image-isf";
import { type ImageSymbols, readImageSymbols } from "../../src/systems/windows/symbols/image-symbols";
import { findInFolder } from "../../src/systems/windows/symbols/symbol-folder";
import {
  formatIdentity,
  parseIdentity,
  type SymbolIdentity,
  symbolKey,
} from "../../src/systems/windows/symbols/symbol-identity";
import { parseSymbolPath } from "../../src/systems/windows/symbols/symbol-path";
import { SymbolStore } from "../../src/systems/windows/symbols/symbol-store";
import { inFolder } from "../kit/in-folder";
import { REBOX } from "../kit/project";
import { type BuiltImage, buildImage, WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const SOURCE = `
  enum mood { SAD = -2, GLAD = 7 };
  struct list { struct list *next, *previous; };
  struct task { unsigned flag : 3, level : 9; union { int number; void *pointer; }; struct list links[4]; unsigned long big;
                unsigned char name[16]; enum mood mood; int (*call)(struct task *); struct { short a, b; } pair; long last; };
  struct task first; int counter; static int hidden = 3;
  static __attribute__((noinline)) int add(int x) { return x + hidden++; }
  int start(struct task *task) { return add(counter) + task->level + first.flag + first.mood; }
`;
const OPTIONS = { skip: WITHOUT_WINDOWS_TOOLS };
const HAS_CABINETS = ["gcab", "cabextract"].every((tool) => spawnSync(tool, ["--version"]).status === 0);
const WITHOUT_CABINETS = HAS_CABINETS ? WITHOUT_WINDOWS_TOOLS : "there are no cabinets: apt install gcab cabextract";

let folder: string;
let built: Record<32 | 64, BuiltImage>;
let pdb: string;
let identity: SymbolIdentity;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-symbols-"));
  if (WITHOUT_WINDOWS_TOOLS) return;
  built = {
    32: buildImage(folder, SOURCE, { bits: 32, name: "small" }),
    64: buildImage(folder, SOURCE, { bits: 64, name: "image" }),
  };
  pdb = built[64].pdb;
  ({ identity } = readImageSymbols(pdb));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function put(path: string, content: Buffer | string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

const isfOf = (path: string): string => [...writeImageIsf(readImageSymbols(path), "1")].join("");

/** A type without the names of types that have none. */
function describe(type: GuestType, depth = 0): unknown {
  switch (type.kind) {
    case "struct":
    case "union":
      return type.name !== "" && depth > 0 ? `${type.kind} ${type.name}` : describeMembers(type, depth);
    case "pointer":
      return { to: depth > 3 ? "" : describe(type.target, depth + 1), size: type.size };
    case "array":
      return { of: describe(type.element, depth + 1), count: type.count };
    case "enum":
      return { ...type, values: [...type.values] };
    default:
      return type;
  }
}

function describeMembers({ kind, size, members }: CompoundType, depth: number): unknown {
  const list = members.map(({ name, type, bitOffset, bitSize }) => ({
    name,
    bitOffset,
    bitSize,
    type: describe(type, depth + 1),
  }));
  return { kind, size, members: list };
}

function describeImage({ identity: { guid, age }, bits, types, symbols }: ImageSymbols): unknown {
  const names = [...types.compoundNames()].sort();
  return {
    ...{ guid, age, bits },
    structs: names.map((name) => [name, describe(types.findCompound(name)!)]),
    enums: [...types.enumNames()].sort().map((name) => describe(types.findEnum(name)!)),
    symbols: Array.from(symbols.symbols(), ({ name, address }) => `${name} ${address}`).sort(),
  };
}

for (const bits of [32, 64] as const) {
  test(`an ISF file of a PDB file of ${bits} bits has the same types and symbols, packed or not`, OPTIONS, async () => {
    await inFolder(async (place) => {
      const { pdb: path } = built[bits];
      const whole = describeImage(readImageSymbols(path));
      const text = isfOf(path);
      const plain = put(join(place, "a.json"), text);
      put(join(place, "b.json.gz"), gzipSync(text));
      put(join(place, "c.json"), text);
      execFileSync("xz", [join(place, "c.json")]);
      for (const file of [plain, join(place, "b.json.gz"), join(place, "c.json.xz")]) {
        const read = readImageSymbols(file);
        assert.deepEqual(describeImage(read), whole);
        assert.deepEqual([read.form, read.identity.name], ["ISF", bits === 64 ? "image.pdb" : "small.pdb"]);
      }
      assert.equal(readImageSymbols(path).form, "PDB");
    });
  });
}

test("a PDB file that was packed into a cabinet is read as the file itself", { skip: WITHOUT_CABINETS }, async () => {
  await inFolder(async (place) => {
    execFileSync("gcab", ["--create", "--nopath", "--zip", join(place, "image.pd_"), pdb]);
    const packed = readImageSymbols(join(place, "image.pd_"));
    assert.deepEqual(describeImage(packed), describeImage(readImageSymbols(pdb)));
    assert.equal(packed.identity.name, "image.pdb");
    writeFileSync(join(place, "broken.pd_"), readFileSync(join(place, "image.pd_")).subarray(0, 2000));
    assert.throws(() => readImageSymbols(join(place, "broken.pd_")), /broken\.pd_: it cannot be unpacked/);
  });
});

test("an identity is written as symbol servers write it, and read from either form", () => {
  const guid = "606FF669409B00F7FC8C61A9C1670129";
  const wanted = { name: "ntkrnlmp.pdb", guid, age: 1 };
  assert.equal(formatIdentity({ ...wanted, age: 26 }), `ntkrnlmp.pdb/${guid}1A`);
  assert.deepEqual(parseIdentity(`ntkrnlmp.pdb/${guid}1`), wanted);
  assert.deepEqual(parseIdentity(`ntkrnlmp.pdb/${guid}1A`), { ...wanted, age: 26 });
  assert.deepEqual(parseIdentity(`ntkrnlmp.pdb/${guid}-26`), { ...wanted, age: 26 });
  assert.deepEqual(parseIdentity("ntkrnlmp.pdb/{606ff669-409b-00f7-fc8c-61a9c1670129}-1"), wanted);
  for (const text of ["ntkrnlmp.pdb", `a/b/${guid}1`, `ntkrnlmp.pdb/${guid}`, "x/1234"]) {
    assert.equal(parseIdentity(text), undefined, text);
  }
});

test("symbols are found in a folder in every layout that there is", OPTIONS, async () => {
  const { name } = identity;
  const key = symbolKey(identity);
  const content = readFileSync(pdb);
  const layouts: readonly [about: string, path: string, content: Buffer | string][] = [
    ["a symbol store", join(name, key, name), content],
    ["a symbol store in small letters", join(name.toUpperCase(), key.toLowerCase(), name.toUpperCase()), content],
    ["packed files of a symbol store", join(name, key, `${name.slice(0, -1)}_`), content],
    ["a folder of files", name, content],
    ["a folder of files with other names", "renamed.pdb", content],
    ["Volatility's files", join(name, `${identity.guid}-${identity.age}.json`), isfOf(pdb)],
    [
      "Volatility's folder",
      join("symbols/windows", name, `${identity.guid}-${identity.age}.json.gz`),
      gzipSync(isfOf(pdb)),
    ],
  ];
  for (const [about, path, bytes] of layouts) {
    await inFolder(async (place) => {
      const file = put(join(place, path), bytes);
      assert.equal(findInFolder(place, identity), file, about);
      assert.equal(findInFolder(place, { ...identity, guid: "0".repeat(32) }), undefined, about);
    });
  }
  await inFolder(async (place) => {
    put(join(place, "index2.txt"), "");
    const file = put(join(place, name.slice(0, 2), name, key, name), content);
    assert.equal(findInFolder(place, identity), file);
  });
  await inFolder(async (place) => {
    put(join(place, name, key, "file.ptr"), `PATH:${pdb}\r\n`);
    assert.equal(findInFolder(place, identity), pdb);
    put(join(place, name, key, "file.ptr"), "MSG: not any more");
    assert.equal(findInFolder(place, identity), undefined);
  });
  assert.equal(findInFolder(join(folder, "nowhere"), identity), undefined);
});

test("a name that would lead out of the folder is refused, since it comes from the guest", async () => {
  await inFolder(async (place) => {
    for (const name of ["..", ".", "../../etc/passwd", "a/b.pdb", "a\\b.pdb", "a\0b", ".hidden", "x".repeat(200), ""]) {
      const hostile = { name, guid: "0".repeat(32), age: 1 };
      assert.throws(() => findInFolder(place, hostile), SymbolsError, JSON.stringify(name));
      assert.throws(() => new SymbolStore(place).find(hostile), /damaged or forged/);
    }
    assert.throws(() => findInFolder(place, { name: "a.pdb", guid: "../x", age: 1 }), SymbolsError);
  });
});

test("a symbol path names folders and servers, as debuggers write it", () => {
  assert.deepEqual(
    parseSymbolPath("srv*/cache*https://one.example/symbols/;/own;cache*/more;SRV*http://two.example;;"),
    {
      folders: ["/cache", "/own", "/more"],
      servers: ["https://one.example/symbols", "http://two.example"],
    },
  );
  assert.deepEqual(parseSymbolPath("symsrv*symsrv.dll*/local*https://x.example"), {
    folders: ["/local"],
    servers: ["https://x.example"],
  });
  assert.deepEqual(parseSymbolPath(""), { folders: [], servers: [] });
});

test("the store keeps files where it finds them, and lists them", OPTIONS, async () => {
  await inFolder(async (place) => {
    const store = new SymbolStore(join(place, "store"));
    assert.deepEqual(store.list(), []);
    assert.equal(store.open(identity), undefined);
    const added = store.add(pdb);
    assert.deepEqual(added.identity, identity);
    assert.deepEqual(readFileSync(added.path), readFileSync(pdb));
    const isf = store.add(put(join(place, "any.json.gz"), gzipSync(isfOf(built[32].pdb))));
    assert.deepEqual(
      store.list().map(({ form, path }) => `${form} ${path}`),
      [`PDB ${added.path}`, `ISF ${isf.path}`],
    );
    assert.equal(store.open(identity)?.form, "PDB");
    assert.equal(store.open(isf.identity)?.form, "ISF");
    const other = { ...identity, guid: "1".repeat(32) };
    assert.throws(() => store.add(pdb, other), /has the GUID [0-9A-F]{32}, but image\.pdb\/1{32}1 was asked for/);
    mkdirSync(join(store.folder, other.name, symbolKey(other)), { recursive: true });
    copyFileSync(pdb, join(store.folder, other.name, symbolKey(other), other.name));
    assert.throws(() => store.open(other), /the image wants 1{32}/);
    assert.throws(() => store.add(put(join(place, "no.pdb"), "text")), /no\.pdb: this is no ISF file/);
    assert.throws(() => store.add(join(place, "nowhere.pdb")), /nowhere\.pdb: there is no such file/);
    const linux = { metadata: {}, base_types: {}, user_types: {}, enums: {}, symbols: {} };
    assert.throws(() => store.add(put(join(place, "linux.json"), JSON.stringify(linux))), /it is not for Windows/);
  });
});

test("rebox symbols adds, lists and gets, and asks no server that nobody named", OPTIONS, async () => {
  await inFolder(async (place) => {
    const run = (...words: string[]) => {
      const env = { ...process.env, XDG_DATA_HOME: place, _NT_SYMBOL_PATH: "" };
      return spawnSync(process.execPath, [REBOX, "symbols", ...words], { encoding: "utf8", env });
    };
    const missing = run("get", built[64].exe);
    assert.equal(missing.status, 1);
    assert.match(
      missing.stderr,
      /no server was asked; get them with: rebox symbols get image\.pdb\/[0-9A-F]{33} --server/,
    );
    const line = `PDB ${String(readFileSync(pdb).length).padStart(10)} ${formatIdentity(identity)}\n`;
    assert.equal(run("add", pdb).stdout, line);
    assert.equal(run("list").stdout, line);
    const kept = join(place, "rebox/symbols", identity.name, symbolKey(identity), identity.name);
    assert.equal(run("get", built[64].exe).stdout, `${kept}\n`);
    assert.equal(run("get", formatIdentity(identity)).stdout, `${kept}\n`);
    assert.equal(run("get", "--path", folder, built[32].exe).stdout, `${built[32].pdb}\n`);
    assert.match(run("get", "nothing").stderr, /nothing is no file, and no NAME\/GUIDAGE/);
    assert.match(run("add", built[64].exe).stderr, /image\.exe: this is no ISF file/);
  });
});

test("rebox types declares the structs of a PDB file, and rebox isf writes it for Volatility", OPTIONS, async () => {
  await inFolder(async (place) => {
    const run = (...words: string[]) => spawnSync(process.execPath, [REBOX, ...words], { encoding: "utf8" });
    const types = run("types", pdb);
    assert.match(types.stdout, /"task": ReboxGuest\.task;/, types.stderr);
    assert.match(types.stdout, /readonly name: string;/);
    const file = join(place, "image.json");
    const isf = run("isf", pdb, "-o", file);
    assert.equal(isf.status, 0, isf.stderr);
    assert.deepEqual(describeImage(readImageSymbols(file)), describeImage(readImageSymbols(pdb)));
    assert.equal(run("isf", pdb).stdout, readFileSync(file, "utf8"));
    assert.match(
      run("types", put(join(place, "no.pdb"), "Microsoft C/C++ not")).stderr,
      /does not begin as a PDB file/,
    );
  });
});
