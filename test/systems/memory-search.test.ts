import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemoryImage } from "../kit/memory-image";
import { PageTables, type PagingMode } from "../../src/systems/memory/page-tables";
import { Ram } from "../../src/systems/memory/ram";
import { ResidentPages } from "../../src/systems/memory/resident-pages";
import { BytePattern } from "../../src/systems/memory/search/byte-pattern";
import { callWithin } from "../../src/config/limits";
import { TimeLimitError } from "../../src/config/errors";
import { MemorySearch } from "../../src/systems/memory/search/memory-search";
import { compileExpression, TextPattern } from "../../src/systems/memory/search/text-pattern";

const PAGE = 0x1000;
const PRESENT = 0x7n;
const LARGE = 0x80n;

/** Page tables in a machine of 16 MiB, whose lower 8 MiB hold the tables and whose upper 8 MiB hold pages. */
class Machine {
  readonly bytes = new Uint8Array(16 << 20);
  readonly ram = new Ram(new MemoryImage([{ address: 0, bytes: this.bytes }], []));
  readonly root = PAGE;
  #nextTable = 2 * PAGE;
  readonly #view = new DataView(this.bytes.buffer);

  constructor(readonly mode: PagingMode) {}

  get #levels(): number {
    return { legacy: 2, pae: 3, "4-level": 4, "5-level": 5 }[this.mode];
  }

  get #bits(): bigint {
    return this.mode === "legacy" ? 10n : 9n;
  }

  /** Sets the entry for an address, of a table at this level. */
  setEntry(address: bigint, entry: bigint, level = 1): void {
    let table = this.root;
    for (let at = this.#levels; at > level; at--) {
      const place = this.#place(table, address, at);
      if (this.#read(place) === 0n) {
        this.#write(place, BigInt(this.#nextTable) | PRESENT);
        this.#nextTable += PAGE;
      }
      table = Number(this.#read(place) & ~0xfffn);
    }
    this.#write(this.#place(table, address, level), entry);
  }

  #place(table: number, address: bigint, level: number): number {
    const index = Number((address >> (12n + this.#bits * BigInt(level - 1))) & ((1n << this.#bits) - 1n));
    return table + index * (this.mode === "legacy" ? 4 : 8);
  }

  #read(place: number): bigint {
    return this.mode === "legacy" ? BigInt(this.#view.getUint32(place, true)) : this.#view.getBigUint64(place, true);
  }

  #write(place: number, entry: bigint): void {
    if (this.mode === "legacy") this.#view.setUint32(place, Number(entry), true);
    else this.#view.setBigUint64(place, BigInt.asUintN(64, entry), true);
  }
}

/** A small generator with a seed, so that a failure can be repeated. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

const MODES: readonly [PagingMode, bigint][] = [
  ["legacy", 0x08000000n],
  ["pae", 0x3ffff000n],
  ["4-level", 0x7fffffe00000n],
  ["4-level", 0xffff888000000000n],
  ["5-level", 0xff110000000000n],
];

/** Maps pages at random, with holes, and returns what the memory is by the processor's own way of looking: page by page. */
function mapAtRandom(
  machine: Machine,
  base: bigint,
  random: (below: number) => number,
  pages: number,
): (number | -1)[] {
  const tables = new PageTables(machine.ram, machine.mode);
  for (let index = 0; index < pages; index++) {
    const address = base + BigInt(index * PAGE);
    const kind = random(10);
    if (kind === 0) continue;
    // Swapped out: not present and not empty.
    if (kind === 1) machine.setEntry(address, 0x12340000n);
    else machine.setEntry(address, BigInt((8 << 20) + random(2048) * PAGE) | PRESENT);
  }
  return Array.from({ length: pages }, (_, index) => tables.translate(machine.root, base + BigInt(index * PAGE)));
}

for (const [mode, base] of MODES) {
  describe(`memory under ${mode} paging at 0x${base.toString(16)}`, () => {
    test("the pages that are found are those that the processor would find", () => {
      for (let seed = 1; seed <= 5; seed++) {
        const machine = new Machine(mode);
        const expected = mapAtRandom(machine, base, createRandom(seed), 600);
        const found = expected.map(() => -1);
        const end = base + BigInt(expected.length * PAGE);
        for (const { address, size, bytes } of new ResidentPages(machine.ram, mode).walk(machine.root, base, end)) {
          const first = Number(address - base) / PAGE;
          for (let page = 0; page < size / PAGE; page++)
            if (bytes) found[first + page] = bytes.byteOffset + page * PAGE;
        }
        assert.deepEqual(found, expected, `seed ${seed}`);
      }
    });

    test("a search finds what a search of a copy finds, wherever it lies and however often it is interrupted", () => {
      for (let seed = 1; seed <= 6; seed++) {
        const random = createRandom(seed);
        const machine = new Machine(mode);
        for (let at = 8 << 20; at < machine.bytes.length; at += 1 + random(8)) machine.bytes[at] = 97 + random(3);
        const pages = mapAtRandom(machine, base, random, 200);
        // One piece for each run of pages without a hole.
        const pieces: { at: number; bytes: Buffer }[] = [];
        pages.forEach((page, index) => {
          if (page < 0) return;
          const bytes = machine.bytes.subarray(page, page + PAGE);
          const last = pieces.at(-1);
          if (last && last.at + last.bytes.length === index * PAGE) last.bytes = Buffer.concat([last.bytes, bytes]);
          else pieces.push({ at: index * PAGE, bytes: Buffer.from(bytes) });
        });
        const patterns = Array.from({ length: 6 }, () => {
          const { bytes } = pieces[random(pieces.length)]!;
          // At a border between pages, or anywhere.
          const border = Math.floor(bytes.length / PAGE) > 1 && random(2) === 0 ? PAGE - 4 : random(bytes.length - 8);
          const wanted = bytes.subarray(border, border + 8 + random(random(2) === 0 ? 10 : 6000));
          return new BytePattern(random(5) === 0 ? Buffer.from("nowhere") : Buffer.from(wanted), "");
        });
        const expected = patterns.map((pattern) => {
          for (const { at, bytes } of pieces) {
            const index = bytes.indexOf(pattern.bytes);
            if (index >= 0) return base + BigInt(at + index);
          }
          return undefined;
        });
        const ranges = [{ start: base, end: base + BigInt(pages.length * PAGE) }];
        for (const endMs of [0, Infinity]) {
          const search = new MemorySearch(machine.ram, mode, machine.root, ranges, patterns);
          let steps = 0;
          while (!search.step(endMs)) assert.ok(++steps < 10_000, "the search does not end");
          assert.deepEqual(search.hits, expected, `seed ${seed}`);
          if (search.hits.some((hit) => hit === undefined)) {
            assert.equal(search.searched, pages.filter((page) => page >= 0).length * PAGE, `seed ${seed}`);
          }
        }
      }
    });
  });
}

test("pages that are swapped out are reported as ranges, each once, and untouched ones are not", () => {
  const machine = new Machine("4-level");
  for (const page of [0, 1, 5, 6]) machine.setEntry(BigInt(page * PAGE), BigInt((8 << 20) + page * PAGE) | PRESENT);
  for (const page of [2, 3, 7]) machine.setEntry(BigInt(page * PAGE), 0x5000n << 12n);
  for (const endMs of [0, Infinity]) {
    const ranges = [{ start: 0n, end: 0x100000n }];
    const search = new MemorySearch(machine.ram, "4-level", machine.root, ranges, [
      new BytePattern(Buffer.from("x"), "x"),
    ]);
    while (!search.step(endMs));
    assert.deepEqual(search.unreadable, [
      { start: 0x2000n, end: 0x4000n },
      { start: 0x7000n, end: 0x8000n },
    ]);
    assert.equal(search.unreadableSize, 3 * PAGE);
  }
});

test("a page that its process has forbidden itself is searched, as the kernel still has it", () => {
  const machine = new Machine("4-level");
  machine.bytes.set(Buffer.from("hidden"), (8 << 20) + 100);
  // Not present, _PAGE_PROTNONE, and the address inverted (arch/x86/include/asm/pgtable-invert.h).
  machine.setEntry(0x4000n, (~BigInt(8 << 20) & 0xffffffffff000n) | 0x100n);
  const ranges = [{ start: 0x4000n, end: 0x5000n }];
  const search = new MemorySearch(machine.ram, "4-level", machine.root, ranges, [
    new BytePattern(Buffer.from("hidden"), ""),
  ]);
  assert.ok(search.step(Infinity));
  assert.deepEqual(search.hits, [0x4064n]);
});

test("large pages are searched, and addresses before the offset and beyond the length are not", () => {
  const machine = new Machine("4-level");
  machine.setEntry(0x40000000n, BigInt(8 << 20) | PRESENT | LARGE, 2);
  const start = 0x40000000n;
  for (const at of [10, 0x1000, 0x20000]) machine.bytes.set(Buffer.from("word"), (8 << 20) + at);
  const pattern = new BytePattern(Buffer.from("word"), "");
  const find = (offset: bigint, maxLength: number): bigint | undefined => {
    const ranges = [{ start, end: start + 0x200000n }];
    const search = new MemorySearch(machine.ram, "4-level", machine.root, ranges, [pattern], { offset, maxLength });
    while (!search.step(0));
    assert.ok(search.searched <= maxLength);
    return search.hits[0];
  };
  assert.equal(find(0n, Infinity), start + 10n);
  assert.equal(find(start + 11n, Infinity), start + 0x1000n);
  assert.equal(find(start + 0x1001n, Infinity), start + 0x20000n);
  assert.equal(find(start + 11n, 0x1000 - 11 + 3), undefined);
  assert.equal(find(start + 11n, 0x1000 - 11 + 4), start + 0x1000n);
  assert.equal(find(start + 0x1001n, 0x20000 - 0x1001 + 3), undefined);
});

test("tables of a hostile guest that lead to each other end the search", () => {
  const machine = new Machine("4-level");
  const view = new DataView(machine.bytes.buffer);
  for (let index = 0; index < 512; index++)
    view.setBigUint64(machine.root + index * 8, BigInt(machine.root) | PRESENT, true);
  const pattern = new BytePattern(Buffer.from("nowhere to be found"), "");
  const ranges = [{ start: 0n, end: 0x800000000000n }];
  const search = new MemorySearch(machine.ram, "4-level", machine.root, ranges, [pattern]);
  let steps = 0;
  while (!search.step(performance.now() + 5)) steps++;
  assert.ok(search.searched <= 16 * machine.bytes.length, `${search.searched} bytes`);
  assert.ok(steps < 10_000, `${steps} steps`);
});

test("tables of a hostile guest that are empty, and many, end the search and let others run in between", () => {
  const machine = new Machine("4-level");
  const view = new DataView(machine.bytes.buffer);
  const [second, third, empty] = [2 * PAGE, 3 * PAGE, 4 * PAGE];
  for (let index = 0; index < 512; index++) {
    for (const [table, target] of [
      [machine.root, second],
      [second, third],
      [third, empty],
    ] as const) {
      view.setBigUint64(table + index * 8, BigInt(target) | PRESENT, true);
    }
  }
  const ranges = [{ start: 0n, end: 0x800000000000n }];
  const search = new MemorySearch(machine.ram, "4-level", machine.root, ranges, [
    new BytePattern(Buffer.from("x"), ""),
  ]);
  let longestMs = 0;
  for (let isDone = false; !isDone;) {
    const startMs = performance.now();
    isDone = search.step(startMs + 5);
    longestMs = Math.max(longestMs, performance.now() - startMs);
  }
  assert.ok(longestMs < 2000, `one step took ${longestMs} ms`);
});

test("an expression finds bytes, in any of the ways in which investigators write it", () => {
  const find = (source: string, memory: string | Buffer): number => {
    const machine = new Machine("4-level");
    machine.setEntry(0n, BigInt(8 << 20) | PRESENT);
    machine.bytes.set(Buffer.from(memory), (8 << 20) + 16);
    const search = new MemorySearch(
      machine.ram,
      "4-level",
      machine.root,
      [{ start: 0n, end: 0x1000n }],
      [new TextPattern(source)],
    );
    search.step(Infinity);
    return search.hits[0] === undefined ? -1 : Number(search.hits[0]) - 16;
  };
  assert.equal(find("se[ck]ret", "a secret"), 2);
  assert.equal(find("(?i)SECRET", "a sEcret"), 2);
  assert.equal(find("[[:digit:]]{3}-[[:alpha:]]+", "12-a 123-abc"), 5);
  assert.equal(find("grün", "ist grün"), 4);
  assert.equal(find("grü+n", Buffer.from("grüüün")), 0);
  assert.equal(find("\\xff\\xfe[^\\x00]", Buffer.from([0xff, 0xfe, 0x00, 0xff, 0xfe, 0x01])), 3);
  assert.equal(find("secret", "nothing"), -1);
});

test("an expression that is none, or means something else in another language, or is everywhere, is refused", () => {
  for (const source of ["", "[", "(?i)", "a*", "^$", "\\Aabc", "\\pL", "(?P<name>a)", "[äö]"]) {
    assert.throws(() => new TextPattern(source), RangeError, source);
  }
  assert.throws(() => compileExpression("(?x)a"), RangeError);
  assert.equal(compileExpression("(?i)^/BIN/").test("/bin/sh"), true);
});

test("bytes are two digits each", () => {
  assert.equal(BytePattern.parse("DEad00").bytes.toString("hex"), "dead00");
  for (const text of ["", "0xff", "f", "fff", "zz", "ff ff", "00".repeat(16 * 1024 + 1)]) {
    assert.throws(() => BytePattern.parse(text), RangeError, text.slice(0, 10));
  }
});

test("an expression that would not end is cut off, and an error is passed on", () => {
  assert.throws(() => callWithin(50, () => /^(?:a+)+$/.test(`${"a".repeat(60)}b`)), TimeLimitError);
  assert.throws(
    () =>
      callWithin(1000, () => {
        throw new TypeError("as it was");
      }),
    /as it was/,
  );
  assert.equal(
    callWithin(1000, () => 42),
    42,
  );
});
