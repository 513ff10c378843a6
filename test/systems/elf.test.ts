import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Elf } from "../../src/systems/symbols/elf/elf";
import { ElfError } from "../../src/systems/errors";
import { elfSourceOf } from "../../src/systems/symbols/elf/elf-source";

const LIBC = execFileSync("gcc", ["-print-file-name=libc.so.6"], { encoding: "utf8" }).trim();
const LIBRARY = `
  int counter;
  int filled = 7;
  const int constant = 9;
  static int hidden(int x) { return x + filled; }
  int first(int x) { return hidden(x) + constant; }
  int second(int x) { counter++; return first(x) * 2; }
  int second_alias(int x) __attribute__((alias("second")));
  __thread int of_thread;
`;

interface Listed {
  readonly address: bigint;
  readonly size: number;
  readonly name: string;
}

/** Lists the symbols that have an address as binutils' readelf does. */
function listWithReadelf(path: string, table: "--dyn-syms" | "--syms"): Listed[] {
  const text = execFileSync("readelf", ["-W", table, path], { encoding: "utf8", maxBuffer: 1 << 28 });
  return text.split("\n").flatMap((line) => {
    const [number, address, size, type, , , section, name] = line.trim().split(/\s+/);
    const isListed = /^\d+:$/.test(number ?? "") && !["SECTION", "FILE", "TLS"].includes(type!) && name !== undefined;
    if (!isListed || section === "UND" || section === "ABS") return [];
    return [{ address: BigInt(`0x${address}`), size: Number(size), name: name.replace(/@.*/, "") }];
  });
}

/** Of elf(5). */
const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;

function asLines(symbols: Iterable<Listed>): string[] {
  return [
    ...new Set(Array.from(symbols, ({ address, size, name }) => `${address.toString(16)} ${size} ${name}`)),
  ].sort();
}

function inFolder<T>(act: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "rebox-elf-"));
  try {
    return act(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Compiles LIBRARY; what is not needed to link stays in the file. */
function compile(folder: string, ...flags: string[]): string {
  const source = join(folder, "library.c");
  const file = join(folder, "library.so");
  writeFileSync(source, LIBRARY);
  execFileSync("gcc", [
    "-shared",
    "-fPIC",
    "-nostdlib",
    "-O0",
    "-Wl,-soname,liblibrary.so.3",
    ...flags,
    "-o",
    file,
    source,
  ]);
  return file;
}

/** Lays a file out in memory as a loader does, with the dynamic section's pointers moved, and returns its source. */
function mapped(file: Buffer, base: bigint) {
  const is64 = file[4] === 2;
  const word = (at: number): number => (is64 ? Number(file.readBigUInt64LE(at)) : file.readUInt32LE(at));
  const count = file.readUInt16LE(is64 ? 56 : 44);
  const headers = Array.from({ length: count }, (_, index) => word(is64 ? 32 : 28) + index * (is64 ? 56 : 32));
  const memory = Buffer.alloc(0x400000);
  let end = 0;
  for (const at of headers.filter((one) => file.readUInt32LE(one) === 1)) {
    const [offset, address, size, total] = (is64 ? [8, 16, 32, 40] : [4, 8, 16, 20]).map((field) => word(at + field));
    file.copy(memory, address!, offset!, offset! + size!);
    end = Math.max(end, Math.ceil((address! + total!) / 4096) * 4096);
  }
  const dynamic = headers.find((at) => file.readUInt32LE(at) === 2)!;
  const step = is64 ? 8 : 4;
  for (let at = word(dynamic + (is64 ? 16 : 8)); memory.readUInt32LE(at) !== 0; at += 2 * step) {
    const tag = memory.readUInt32LE(at);
    if (![4, 5, 6, 0x6ffffef5].includes(tag)) continue;
    if (is64) memory.writeBigUInt64LE(memory.readBigUInt64LE(at + 8) + base, at + 8);
    else memory.writeUInt32LE(memory.readUInt32LE(at + 4) + Number(base), at + 4);
  }
  return {
    base,
    readMemory: (address: bigint, size: number): Buffer | undefined => {
      const at = Number(address - base);
      return at >= 0 && at + size <= end ? memory.subarray(at, at + size) : undefined;
    },
  };
}

test("the symbols of this machine's libraries and programs are those that readelf lists", () => {
  const files = [LIBC, "/usr/bin/gcc", "/usr/bin/readelf", "/lib/x86_64-linux-gnu/libm.so.6"];
  for (const file of files.filter((one) => existsSync(one))) {
    const elf = new Elf(elfSourceOf(readFileSync(file)));
    const expected = asLines([...listWithReadelf(file, "--dyn-syms"), ...listWithReadelf(file, "--syms")]);
    assert.notEqual(expected.length, 0, file);
    assert.deepEqual(asLines(elf.symbols.symbols()), expected, file);
  }
});

for (const [bits, flags] of [
  [64, []],
  [32, ["-m32"]],
  [64, ["-Wl,--hash-style=sysv"]],
  [32, ["-m32", "-Wl,--hash-style=gnu"]],
] as const) {
  test(`a ${bits}-bit library is read from its file, and from memory alone ${flags.join(" ")}`, () => {
    inFolder((folder) => {
      const file = compile(folder, ...flags);
      const whole = new Elf(elfSourceOf(readFileSync(file)));
      const dynamic = asLines(listWithReadelf(file, "--dyn-syms"));
      assert.equal(whole.bits, bits);
      assert.equal(whole.soname, "liblibrary.so.3");
      assert.deepEqual(asLines(whole.symbols.symbols()), asLines(listWithReadelf(file, "--syms")));
      assert.equal(whole.symbols.findSymbol(whole.symbols.findAddress("hidden")!)?.type, "t");
      assert.equal(whole.symbols.findSymbol(whole.symbols.findAddress("counter")!)?.type, "B");

      const base = bits === 64 ? 0x7f12_3456_7000n : 0xb7d6_f000n;
      const inMemory = new Elf(mapped(readFileSync(file), base));
      assert.equal(inMemory.bias, base);
      assert.equal(inMemory.soname, "liblibrary.so.3");
      assert.equal(inMemory.buildId, whole.buildId);
      assert.deepEqual(asLines(inMemory.symbols.symbols()), dynamic);
      assert.equal(inMemory.symbols.findAddress("hidden"), undefined);
    });
  });
}

test("an address is found in the symbol that contains it, and in none beyond its end", () => {
  inFolder((folder) => {
    const file = compile(folder);
    const { symbols } = new Elf(elfSourceOf(readFileSync(file)));
    const second = listWithReadelf(file, "--syms").find(({ name }) => name === "second")!;
    assert.equal(symbols.findAddress("second"), second.address);
    assert.equal(symbols.findAddress("second_alias"), second.address);
    const last = second.address + BigInt(second.size - 1);
    assert.equal(symbols.findSymbol(last)?.address, second.address);
    assert.equal(symbols.findSymbol(second.address - 1n)?.name, "first");
    assert.notEqual(symbols.findSymbol(last + 1n)?.address, second.address);
    assert.equal(symbols.findAddress("of_thread"), undefined, "a place in a thread's own memory is no address");
    assert.equal(symbols.findSymbol(-1n), undefined);
    assert.equal(symbols.findSymbol(1n << 64n), undefined);
  });
});

test("the C library that this very process has mapped is read out of its memory", () => {
  const line = readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .find((one) => /^\S+ \S+ 00000000 .*\/libc[.-][^/]*$/.test(one))!;
  const base = BigInt(`0x${line.split("-")[0]}`);
  const memory = openSync("/proc/self/mem", "r");
  try {
    const readMemory = (address: bigint, size: number): Buffer | undefined => {
      const bytes = Buffer.alloc(size);
      try {
        return readSync(memory, bytes, 0, size, address) === size ? bytes : undefined;
      } catch {
        return undefined;
      }
    };
    const elf = new Elf({ base, readMemory });
    const path = line.slice(line.indexOf("/"));
    assert.equal(elf.soname, "libc.so.6");
    assert.equal(elf.bias, base);
    const readelf = execFileSync("readelf", ["-n", path], { encoding: "utf8" });
    assert.equal(elf.buildId, /Build ID: (\w+)/.exec(readelf)?.[1]);
    assert.deepEqual(asLines(elf.symbols.symbols()), asLines(listWithReadelf(path, "--dyn-syms")));
  } finally {
    closeSync(memory);
  }
});

test("pages that are missing take their symbols with them, and no others", () => {
  const file = readFileSync(LIBC);
  const whole = new Elf(elfSourceOf(file));
  const all = new Set(asLines(whole.symbols.symbols()));
  let counts = 0;
  for (let missing = 1; missing < 40; missing++) {
    const readFile = (offset: number, size: number): Buffer | undefined =>
      Math.floor(offset / 4096) <= missing && Math.floor((offset + size - 1) / 4096) >= missing
        ? undefined
        : file.subarray(offset, offset + size);
    const found = asLines(new Elf({ readFile }).symbols.symbols());
    // A name whose end is missing is cut, which makes at most one symbol another one.
    const wrong = found.filter((one) => !all.has(one));
    assert.ok(wrong.length <= 2, `page ${missing}: ${wrong.join(", ")}`);
    if (found.length < all.size) counts++;
  }
  assert.ok(counts > 3, "none of the pages held a symbol");
});

test("a damaged file gives an ElfError or some symbols, never a hang or another error", () => {
  inFolder((folder) => {
    const file = readFileSync(compile(folder));
    let seed = 12345;
    const random = (limit: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 0x1_0000_0000) * limit);
    };
    const limit = Number(process.env.REBOX_FUZZ ?? 3000);
    let parsed = 0;
    const start = Date.now();
    for (let round = 0; round < limit; round++) {
      const damaged = Buffer.from(random(20) === 0 ? file.subarray(0, random(file.length)) : file);
      for (let change = 0; change <= random(8) && damaged.length > 8; change++) {
        const at = random(2) === 0 ? random(Math.min(1024, damaged.length)) : random(damaged.length);
        const interesting = [0, 1, 0x7f, 0x80, 0xff, random(256)];
        damaged[at] = interesting[random(interesting.length)]!;
        if (random(4) === 0 && at + 8 <= damaged.length) damaged.fill(0xff, at, at + 1 + random(8));
      }
      const memory = mappedAnyhow(damaged);
      for (const source of [elfSourceOf(damaged), memory]) {
        try {
          const elf = new Elf(source);
          for (const symbol of elf.symbols.symbols()) {
            assert.ok(symbol.name.length <= 4096);
            elf.symbols.findSymbol(symbol.address);
          }
          parsed++;
        } catch (error) {
          if (!(error instanceof ElfError)) throw error;
        }
      }
    }
    assert.ok(parsed > limit / 4, `${parsed} of ${2 * limit} could be parsed`);
    assert.ok(Date.now() - start < limit * 20, "a damaged file took much longer than a good one");
  });
});

/** A process that has mapped the file as it is, without regard to its program headers. */
function mappedAnyhow(file: Buffer) {
  const base = 0x7f00_0000_0000n;
  return {
    base,
    readMemory: (address: bigint, size: number): Buffer | undefined => {
      const at = address - base;
      return at >= 0n && at + BigInt(size) <= BigInt(file.length)
        ? file.subarray(Number(at), Number(at) + size)
        : undefined;
    },
  };
}

test("a file that is no ELF file is refused as such", () => {
  assert.throws(() => new Elf(elfSourceOf(Buffer.from("#!/bin/sh\n"))), ElfError);
  assert.throws(() => new Elf(elfSourceOf(Buffer.alloc(0))), /header of the ELF file cannot be read/);
  assert.throws(() => new Elf(elfSourceOf(Buffer.alloc(64))), /no ELF file/);
});

test("a string table that lies in two parts of the file, one behind the other, is read whole", () => {
  inFolder((folder) => {
    const file = readFileSync(compile(folder, "-Wl,--no-as-needed", "-lc"));
    const whole = new Elf(elfSourceOf(file));
    assert.deepEqual(whole.needed, ["libc.so.6"]);
    const strings = whole.sections.find(({ name }) => name === ".dynstr")!;
    const headers = Array.from({ length: file.readUInt16LE(56) }, (_, index) => Number(file.readBigUInt64LE(32)) + index * 56); // prettier-ignore
    const first = headers.find((at) => file.readUInt32LE(at) === PT_LOAD)!;
    const spare = headers.find((at) => file.readUInt32LE(at) === PT_GNU_STACK)!;
    assert.equal(file.readBigUInt64LE(first + 8), 0n);
    const size = file.readBigUInt64LE(first + 32);
    const length = BigInt(strings.size);
    for (const cut of [strings.address + 1n, strings.address + length / 2n, strings.address + length - 2n]) {
      const changed = Buffer.from(file);
      changed.copy(changed, spare, first, first + 56);
      for (const [field, value] of [[32, cut], [40, cut]] as const) changed.writeBigUInt64LE(value, first + field); // prettier-ignore
      for (const [field, value] of [
        [8, cut],
        [16, cut],
        [24, cut],
        [32, size - cut],
        [40, size - cut],
      ] as const)
        changed.writeBigUInt64LE(value, spare + field);
      const elf = new Elf(elfSourceOf(changed));
      assert.deepEqual(elf.needed, whole.needed);
      assert.equal(elf.soname, "liblibrary.so.3");
      assert.deepEqual(asLines(elf.symbols.symbols()), asLines(whole.symbols.symbols()));
    }
  });
});
