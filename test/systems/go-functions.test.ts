import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ElfError } from "../../src/systems/errors";
import { Elf } from "../../src/systems/symbols/elf/elf";
import { elfSourceOf } from "../../src/systems/symbols/elf/elf-source";

const MAGIC = 0xfffffff1;
const CODE = { address: 0x401000n, size: 0x1000 };
const TABLE_AT = 0x2000;
const MODULE_AT = 0x3000;
const NAMES_AT = 0x4000;
const SECTIONS_AT = 0x4100;
const BASE = 0x400000n;
const FUNCTIONS = [
  { name: "main.main", entry: 0x40, size: 0x60 },
  { name: "crypto/tls.(*Conn).Write", entry: 0xa0, size: 0x100 },
];

/**
 * Makes a program as Go's linker lays its list of functions out (cmd/link/internal/ld/pcln.go), with nothing else in it.
 *
 * @param textStart the start of the code that the list's header says
 * @param moduleText the start of the code that the runtime's description says
 */
function makeProgram({ magic = MAGIC, textStart = CODE.address, moduleText = 0n } = {}): Buffer {
  const file = Buffer.alloc(0x5000);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const words = (at: number, values: readonly (bigint | number)[]) =>
    values.forEach((value, index) => file.writeBigUInt64LE(BigInt(value), at + index * 8));
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(62, 18);
  words(24, [CODE.address, 64, SECTIONS_AT]);
  [64, 56, 2, 64, 5, 4].forEach((value, index) => file.writeUInt16LE(value, 52 + index * 2));
  const segment = (at: number, flags: number, offset: number, size: number) => {
    file.writeUInt32LE(1, at);
    file.writeUInt32LE(flags, at + 4);
    const address = BASE + BigInt(offset);
    words(at + 8, [offset, address, address, size, size, 4096]);
  };
  segment(64, 5, 0, 0x2000);
  segment(120, 4, 0x2000, 0x2100);
  const sections = [
    ["", 0, 0],
    [".text", 0x1000, CODE.size],
    [".gopclntab", TABLE_AT, 0x1000],
    [".go.module", MODULE_AT, 0x200],
    [".shstrtab", NAMES_AT, 0x100],
  ] as const;
  let name = NAMES_AT;
  sections.forEach(([text, offset, size], index) => {
    const at = SECTIONS_AT + index * 64;
    file.writeUInt32LE(name - NAMES_AT, at);
    file.writeUInt32LE(1, at + 4);
    words(at + 16, [BASE + BigInt(offset), offset, size]);
    name += file.write(`${text}\0`, name);
  });

  file.writeUInt32LE(magic, TABLE_AT);
  file.set([0, 0, 1, 8], TABLE_AT + 4);
  const [names, list] = [0x100, 0x400];
  words(TABLE_AT + 8, [FUNCTIONS.length, 1, textStart, names, 0, 0, 0, list]);
  let nameAt = names;
  let described = FUNCTIONS.length * 8 + 4;
  FUNCTIONS.forEach(({ name: text, entry, size }, index) => {
    const record = TABLE_AT + list + index * 8;
    file.writeUInt32LE(entry, record);
    file.writeUInt32LE(described, record + 4);
    file.writeUInt32LE(entry + size, record + 8);
    file.writeUInt32LE(entry, TABLE_AT + list + described);
    file.writeUInt32LE(nameAt - names, TABLE_AT + list + described + 4);
    described += 40;
    nameAt += file.write(`${text}\0`, TABLE_AT + nameAt);
  });
  words(MODULE_AT, [BASE + BigInt(TABLE_AT)]);
  words(MODULE_AT + 22 * 8, [moduleText]);
  return file;
}

const symbolsOf = (file: Buffer) => [...new Elf(elfSourceOf(file)).symbols.symbols()];

const EXPECTED = FUNCTIONS.map(({ name, entry, size }) => ({
  ...{ name, address: CODE.address + BigInt(entry), size, type: "T" },
}));

test("a program of Go without a symbol table has the functions of its runtime's list", () => {
  assert.deepEqual(symbolsOf(makeProgram()), EXPECTED);
  assert.deepEqual(symbolsOf(makeProgram({ magic: 0xfffffff0 })), EXPECTED);
});

test("the start of the code is the runtime's own where the list does not have it, as from Go 1.26 on", () => {
  assert.deepEqual(symbolsOf(makeProgram({ textStart: 0n, moduleText: CODE.address })), EXPECTED);
});

test("a list that another Go has made, or whose code is nowhere, gives no functions", () => {
  assert.deepEqual(symbolsOf(makeProgram({ magic: 0xfffffffb })), []);
  assert.deepEqual(symbolsOf(makeProgram({ textStart: 0n })), []);
  assert.deepEqual(symbolsOf(makeProgram({ textStart: BASE + 0x2000n })), []);
  assert.deepEqual(symbolsOf(makeProgram({ textStart: 0x7000_0000n })), []);
});

test("a list that is in memory in part is not taken for all that the program has, and no other process gets it", () => {
  const whole = makeProgram();
  const part = makeProgram().fill(0, TABLE_AT + 0x400, TABLE_AT + 0x1000);
  const [seen, later] = [new Elf(elfSourceOf(part)), new Elf(elfSourceOf(whole))];
  assert.ok(!seen.hasAllSymbols && !seen.hasTablesOf(later) && !seen.hasTablesOf(new Elf(elfSourceOf(part))));
  assert.ok(later.hasAllSymbols && later.hasTablesOf(new Elf(elfSourceOf(whole))));
});

test("two builds of a program are told apart by their lists, and by the note of the build", () => {
  const [one, other] = [makeProgram(), makeProgram()].map((file) => new Elf(elfSourceOf(file)));
  assert.ok(one!.hasTablesOf(other!));
  const changed = makeProgram();
  changed.writeUInt32LE(0x44, TABLE_AT + 0x400);
  assert.ok(!one!.hasTablesOf(new Elf(elfSourceOf(changed))));
});

test("a damaged list gives some functions or none, never a hang or another error", () => {
  let seed = 54321;
  const random = (limit: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 0x1_0000_0000) * limit);
  };
  let whole = 0;
  for (let round = 0; round < 3000; round++) {
    const file = makeProgram(random(2) === 0 ? {} : { textStart: 0n, moduleText: CODE.address });
    for (let change = 0; change <= random(4); change++) {
      const at = TABLE_AT + random(random(2) === 0 ? 72 : 0x500);
      if (random(3) === 0) file.fill(0xff, at, at + 1 + random(8));
      else file[at] = random(256);
    }
    try {
      for (const { name, address } of symbolsOf(file)) {
        assert.ok(name.length > 0 && name.length <= 4096);
        assert.ok(address >= 0n);
      }
      whole++;
    } catch (error) {
      if (!(error instanceof ElfError)) throw error;
    }
  }
  assert.ok(whole > 2000, `${whole}`);
});

const GO = (process.env.PATH ?? "").split(":").map((folder) => join(folder, "go")).find((file) => existsSync(file)); // prettier-ignore

test(
  "a stripped program of this machine's Go has the functions that its symbol table had",
  { skip: GO === undefined && "there is no Go" },
  () => {
    const folder = mkdtempSync(join(tmpdir(), "rebox-go-"));
    try {
      const stripped = join(folder, "stripped");
      execFileSync("strip", ["-o", stripped, GO!]);
      const listed = execFileSync("readelf", ["-W", "--syms", GO!], { encoding: "utf8", maxBuffer: 1 << 28 });
      const expected = new Map<string, bigint>();
      for (const line of listed.split("\n")) {
        const [, address, , type, , , section, ...name] = line.trim().split(/\s+/);
        // The ending is the linker's, for functions of assembly.
        const known = name.join(" ").replace(/\.abi0$/, "");
        if (type === "FUNC" && section !== "UND") expected.set(known, BigInt(`0x${address}`));
      }
      const { symbols } = new Elf(elfSourceOf(readFileSync(stripped)));
      const wrong = [...expected].filter(([name, address]) => !symbols.findAddresses(name).includes(address));
      assert.ok(expected.size > 1000, `${expected.size}`);
      // The table numbers types of functions, which the list does not.
      const unnumbered = wrong.map(([name]) => name).filter((name) => !/\.\d/.test(name));
      assert.deepEqual(unnumbered, ["runtime.text", "runtime.etext"], "others than the ends of the code");
      assert.equal(symbols.findAddress("main.main"), expected.get("main.main"));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
