import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { environmentFolder } from "../../src/guest/volatility/volatility-places";
import { ImageError } from "../../src/systems/errors";
import type { FileBytes, ImageLayout } from "../../src/systems/memory/images/image-layout";
import { readImageLayout } from "../../src/systems/memory/images/read-image-layout";
import { PROJECT } from "../kit/project";
import { whyNoVolatility } from "../kit/systems/volatility-run";
import { type CrashDumpFacts, makeCrashDump } from "../kit/windows/crash-writer";

const PAGE = 0x1000;

/** Pages of which each byte tells the page's number. */
function pages(first: number, count: number): { address: number; bytes: Buffer } {
  const bytes = Buffer.concat(Array.from({ length: count }, (_, index) => Buffer.alloc(PAGE, first + index)));
  return { address: first * PAGE, bytes };
}

/** Runs that begin and end within bytes of a map, at their borders, and over many of them. */
const RANGES = [pages(1, 2), pages(8, 8), pages(19, 1), pages(24, 40), pages(100, 1)];
const FACTS: CrashDumpFacts = {
  ...{ bits: 64, type: 1, ranges: RANGES, tables: 0x1ad000n, modules: 0xfffff80123456780n, rip: 0xfffff80123400000n },
};
const KINDS = [1, 2, 5, 6].flatMap((type) => [64, 32].map((bits) => ({ type, bits: bits as 32 | 64 })));

function makeOf({ type, bits }: { type: number; bits: 32 | 64 }, more: Partial<CrashDumpFacts> = {}): Buffer {
  return makeCrashDump({
    ...FACTS,
    bits,
    type,
    ...(bits === 32 && { modules: 0x82345678n, rip: 0x82300000n }),
    ...more,
  });
}

function fileOf(bytes: Buffer): FileBytes {
  return {
    size: bytes.length,
    read: (offset, size) => {
      assert.ok(offset >= 0 && offset + size <= bytes.length, "what lies behind the end is not asked for");
      return Buffer.from(bytes.subarray(offset, offset + size));
    },
  };
}

const read = (bytes: Buffer): ImageLayout => readImageLayout(fileOf(bytes));

function fail(bytes: Buffer): string {
  try {
    read(bytes);
  } catch (error) {
    if (error instanceof ImageError) return error.message;
    throw error;
  }
  return assert.fail("it was taken for an image");
}

test("each kind of crash dump, of 32 and 64 bits, gives every page that it holds and no other", () => {
  for (const kind of KINDS) {
    const dump = makeOf(kind);
    const { format, parts } = read(dump);
    assert.equal(format, "crash");
    assert.deepEqual(
      parts.map(({ address, size }) => [address, size]),
      RANGES.map(({ address, bytes }) => [address, bytes.length]),
      JSON.stringify(kind),
    );
    for (const [index, { offset, size }] of parts.entries()) {
      assert.ok(dump.subarray(offset, offset + size).equals(RANGES[index]!.bytes), JSON.stringify(kind));
    }
  }
});

test("a crash dump says by which page tables it is read, where the kernel is, and the registers of the processor", () => {
  const long = read(makeOf({ type: 6, bits: 64 }));
  assert.equal(long.facts?.[0]?.cr3, 0x1ad000n);
  assert.equal(long.facts[0].kernelData, 0xfffff80123456780n);
  assert.equal(long.cpus[0]?.registers.get("RIP"), 0xfffff80123400000n);
  assert.equal(long.cpus[0].registers.get("CS"), 0x10n);
  assert.equal(long.cpus[0].registers.get("CR3"), 0x1ad000n);
  const short = read(makeOf({ type: 1, bits: 32 }));
  assert.deepEqual(
    [short.facts?.[0]?.kernelData, short.facts?.[0]?.cr4, short.facts?.[0]?.efer],
    [0x82345678n, 0x20n, 0n],
  );
  assert.equal(short.cpus[0]?.registers.get("RIP"), 0x82300000n);
});

test("crash dumps without physical memory, of other processors, cut off or damaged are refused with the reason", () => {
  assert.match(fail(makeOf({ type: 4, bits: 64 })), /a small crash dump of Windows \(triage\): .* no physical memory/);
  assert.match(fail(makeOf({ type: 3, bits: 32 })), /has only a header/);
  assert.match(fail(makeOf({ type: 9, bits: 64 })), /of the unknown type 9/);
  assert.match(
    fail(makeOf({ type: 1, bits: 64 }, { machine: 0xaa64 })),
    /of another processor \(ARM64\): only x86 is known/,
  );
  assert.match(fail(makeOf({ type: 1, bits: 64 }, { ranges: [] })), /says that memory has 0 runs/);
  for (const kind of KINDS) {
    const dump = makeOf(kind);
    assert.match(fail(dump.subarray(0, dump.length - 1)), /the image is cut off: the memory at 0x64000 would end at/);
    assert.match(fail(dump.subarray(0, 100)), /its header has \d+ bytes, the file 100/);
    if (kind.type === 1) continue;
    const at = kind.bits === 64 ? 0x2000 : 0x1000;
    assert.match(fail(dump.subarray(0, at + 8)), /before its map of pages/);
    const other = Buffer.from(dump);
    other.write("XXXX", at, "latin1");
    assert.match(fail(other), /there is no map of pages at byte/);
    const more = Buffer.from(dump);
    const second = at + (kind.type === 2 ? (kind.bits === 64 ? 0x28 : 0x20) : 0x38) + 1;
    more[second] = more[second]! ^ 0x10;
    assert.match(fail(more), /its map has \d+ pages, and it says that they are 52/);
  }
});

test("crash dumps that were changed at 100,000 places are read within the file, or refused", () => {
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const outcomes = { read: 0, refused: 0 };
  for (const kind of KINDS) {
    const whole = makeOf(kind);
    const headerSize = kind.bits === 64 ? 0x2000 : 0x1000;
    // What the reader looks at: the header's fields and the map.
    const from = (start: number, count: number) => Array.from({ length: count }, (_, at) => start + at);
    const typeAt = kind.bits === 64 ? 0xf98 : 0xf88;
    const places = [...from(0, 0x100), ...from(headerSize, 0x60), ...from(typeAt, 4)];
    for (let round = 0; round < 100_000 / KINDS.length; round++) {
      const undo = Array.from({ length: 1 + random(3) }, () => places[random(places.length)]!).map(
        (at) => [at, whole[at]!] as const,
      );
      for (const [at] of undo) whole[at] = random(256);
      try {
        for (const { offset, size } of read(whole).parts) assert.ok(offset + size <= whole.length);
        outcomes.read++;
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
        outcomes.refused++;
      }
      for (const [at, byte] of undo.reverse()) whole[at] = byte;
    }
  }
  assert.ok(outcomes.read > 1000 && outcomes.refused > 1000, JSON.stringify(outcomes));
});

test("Volatility finds the same memory at the same places of the file", { skip: whyNoVolatility() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-crash-"));
  try {
    for (const kind of KINDS.filter(({ type }) => type === 1 || type === 5)) {
      const dump = makeOf(kind);
      const file = join(folder, "guest.dmp");
      writeFileSync(file, dump);
      const { status, stdout, stderr } = spawnSync(
        join(environmentFolder(), "bin/python3"),
        [join(PROJECT, "test/kit/windows/crash_layer.py"), file, String(kind.bits)],
        { encoding: "utf8" },
      );
      assert.equal(status, 0, stderr);
      assert.deepEqual(
        JSON.parse(stdout),
        read(dump).parts.map(({ address, offset, size }) => [address, offset, size]),
        JSON.stringify(kind),
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
