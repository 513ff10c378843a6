import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { PdbError } from "../../src/systems/errors";
import type { GuestType } from "../../src/systems/symbols/guest-type";
import { Pdb } from "../../src/systems/symbols/pdb/pdb";
import { pdbSourceOf } from "../../src/systems/symbols/pdb/pdb-source";
import { takeStreams, words, writeStreams } from "../kit/windows/pdb-writer";
import { buildImage, WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const SOURCE = `
  enum mood { SAD = -2, GLAD = 7 };
  struct list { struct list *next, *previous; };
  struct task { unsigned flag : 3, level : 9; union { int number; void *pointer; }; struct list links[4];
                char name[16]; enum mood mood; int (*call)(struct task *); struct unknown *unknown; };
  struct task first; int counter; static int hidden = 3;
  static __attribute__((noinline)) int add(int x) { return x + hidden++; }
  int start(struct task *task) { return add(counter) + task->level + first.flag; }
`;
/** A hang would be ended by this, which is a hundred times what the slowest of these tests takes. */
const LIMIT = { timeout: 120_000, skip: WITHOUT_WINDOWS_TOOLS };
const RUNS = { numRuns: 1500 };
/** The part of a file that is read: enough to come to every kind of record, bounded for those that refer to each other. */
const MOST_TYPES = 2000;

let file: Buffer;
let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-pdb-hostile-"));
  if (WITHOUT_WINDOWS_TOOLS) return;
  // With small blocks the file has no room between its streams, and each byte counts.
  file = writeStreams(takeStreams(readFileSync(buildImage(folder, SOURCE, { bits: 64, name: "task" }).pdb)));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Reads everything that a PDB file has, and counts it. */
function readAll(bytes: Uint8Array): number {
  const pdb = new Pdb(pdbSourceOf(bytes), "mutated");
  let count = 0;
  const seen = new Set<GuestType>();
  const waiting: GuestType[] = [];
  const visit = (type: GuestType): void => {
    if (seen.has(type) || seen.size >= MOST_TYPES) return;
    seen.add(type);
    waiting.push(type);
  };
  const parts: (() => void)[] = [
    () => {
      for (const symbol of pdb.symbols.symbols()) {
        count++;
        assert.ok(symbol.address >= 0n && symbol.address <= 0xffffffffn);
        pdb.symbols.findSymbol(symbol.address);
      }
    },
    () => {
      for (const name of pdb.types.compoundNames()) visit(pdb.types.findCompound(name)!);
      for (const name of pdb.types.enumNames()) visit(pdb.types.findEnum(name)!);
    },
    () => {
      for (const name of pdb.types.typedefNames()) visit(pdb.types.findTypedef(name)!);
      for (const [, type] of pdb.types.variables()) visit(type);
    },
  ];
  let problem: PdbError | undefined;
  const attempt = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      if (!(error instanceof PdbError)) throw error;
      assert.equal(error.code, "REBOX_PDB");
      problem = error;
    }
  };
  parts.forEach(attempt);
  for (let type = waiting.pop(); type !== undefined; type = waiting.pop()) {
    const at = type;
    attempt(() => {
      assert.ok(Number.isSafeInteger(at.size) && at.size >= 0);
      if (at.kind === "pointer") visit(at.target);
      if (at.kind === "array") visit(at.element);
      if (at.kind === "struct" || at.kind === "union") for (const { type: inner } of at.members) visit(inner);
    });
  }
  if (problem) throw problem;
  return count + seen.size;
}

/** Reads a file that may be damaged: it is read, or refused by an error of its own. */
function readOrRefuse(bytes: Uint8Array): void {
  try {
    readAll(bytes);
  } catch (error) {
    if (!(error instanceof PdbError)) throw error;
  }
}

test("an undamaged file is read whole", LIMIT, () => {
  assert.ok(readAll(file) >= 15);
});

test("bytes that were changed anywhere give a PdbError or another answer, and nothing else", LIMIT, () => {
  const change = fc.tuple(fc.nat(file.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 24 }), (changes) => {
      const bytes = Buffer.from(file);
      for (const [at, value] of changes) bytes[at] = value;
      readOrRefuse(bytes);
    }),
    RUNS,
  );
});

test("numbers that were made extreme give a PdbError or another answer, and nothing else", LIMIT, () => {
  const extreme = fc.constantFrom(0, 1, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff);
  const change = fc.tuple(fc.nat(Math.floor(file.length / 2) - 3), extreme);
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
      const bytes = Buffer.from(file);
      for (const [half, value] of changes) bytes.writeUInt32LE(value, half * 2);
      readOrRefuse(bytes);
    }),
    RUNS,
  );
});

test("records of types that refer to any other, themselves included, are read or refused", LIMIT, () => {
  const streams = takeStreams(file);
  const types = streams[2]!;
  const header = types.readUInt32LE(4);
  const last = types.readUInt32LE(12);
  const change = fc.tuple(
    fc.integer({ min: header / 2, max: types.length / 2 - 2 }),
    fc.integer({ min: 0x1000, max: last }),
  );
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 16 }), (changes) => {
      const bytes = Buffer.from(types);
      for (const [half, index] of changes) bytes.writeUInt32LE(index, half * 2);
      readOrRefuse(writeStreams(streams.with(2, bytes)));
    }),
    { numRuns: 600 },
  );
});

test("a file that was cut off anywhere is refused or read, and one without its last byte is too", LIMIT, () => {
  fc.assert(
    fc.property(fc.nat(file.length - 1), (size) => readOrRefuse(file.subarray(0, size))),
    { numRuns: 300 },
  );
});

test("streams that claim more than the file has are refused before anything is read", () => {
  // A directory of many streams, each of which claims all blocks of the file: 1,000 times its size.
  const streams = Array.from({ length: 1000 }, () => Buffer.alloc(0));
  const bomb = writeStreams([Buffer.alloc(0), ...streams]);
  const blockCount = bomb.readUInt32LE(40);
  const directory = words([200, ...Array<number>(200).fill(512), ...Array<number>(200).fill(1)]);
  const at = bomb.readUInt32LE(52 + 0) * 512;
  const first = bomb.readUInt32LE(at);
  directory.copy(bomb, first * 512 - 512 * (Math.ceil(directory.length / 512) - 1));
  assert.ok(blockCount < 200);
  assert.throws(() => new Pdb(pdbSourceOf(bomb), "bomb"), PdbError);
});

test("a struct of ten thousand continued lists that form a circle is refused", LIMIT, () => {
  // LF_FIELDLIST with one LF_INDEX to itself, and a struct of it.
  const list = words([0x1203_000a, 0x0000_1404, 0x1000]);
  const struct = Buffer.concat([words([0x1505_0016, 1, 0x1000, 0, 0]), Buffer.from([8, 0, 0x61, 0])]);
  const records = Buffer.concat([list, struct]);
  const types = Buffer.concat([words([20040203, 56, 0x1000, 0x1002, records.length]), Buffer.alloc(36), records]);
  const information = words([20000404, 1, 1, 0, 0, 0, 0]);
  const pdb = new Pdb(pdbSourceOf(writeStreams([Buffer.alloc(0), information, types])), "circle");
  assert.equal(pdb.types.findCompound("a")?.size, 8);
  assert.throws(() => pdb.types.findCompound("a")?.members, /never end/);
});

test("an array of itself is refused", () => {
  const array = words([0x1503_000e, 0x1000, 0x74, 8]);
  const struct = Buffer.concat([words([0x1505_0016, 1, 0x1002, 0, 0]), Buffer.from([8, 0, 0x61, 0])]);
  const list = Buffer.concat([words([0x1203_000e, 0x0003_150d, 0x1000]), Buffer.from([0, 0, 0x6d, 0])]);
  const records = Buffer.concat([array, struct, list]);
  const types = Buffer.concat([words([20040203, 56, 0x1000, 0x1003, records.length]), Buffer.alloc(36), records]);
  const information = words([20000404, 1, 1, 0, 0, 0, 0]);
  const pdb = new Pdb(pdbSourceOf(writeStreams([Buffer.alloc(0), information, types])), "circle");
  assert.throws(() => pdb.types.findCompound("a")?.members[0]?.type, /type 0x1000 in circle contains itself/);
});
