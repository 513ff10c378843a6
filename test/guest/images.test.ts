import assert from "node:assert/strict";
import { test } from "node:test";
import { readElfCore, writeElfCore } from "../../src/systems/memory/images/elf-core";
import { ImageError } from "../../src/systems/errors";
import type { FileBytes } from "../../src/systems/memory/images/image-layout";
import { makeLimeHeader } from "../../src/systems/memory/images/lime-image";
import { readImageLayout } from "../../src/systems/memory/images/read-image-layout";
import type { SavedCpu } from "../../src/systems/memory/images/saved-cpu";

const MIB = 0x100000;

/** A file that begins with these bytes and goes on with zeros. */
function fileOf(bytes: Uint8Array, size = bytes.length): FileBytes {
  return {
    size,
    read: (offset, length) => {
      assert.ok(offset + length <= size, "what lies behind the end is not asked for");
      assert.ok(length <= 64 * MIB, `${length} bytes are read at once`);
      const part = Buffer.alloc(length);
      part.set(bytes.subarray(offset, offset + length));
      return part;
    },
  };
}

function fail(bytes: Uint8Array, size = bytes.length): string {
  try {
    readImageLayout(fileOf(bytes, size));
  } catch (error) {
    if (error instanceof ImageError) return error.message;
    throw error;
  }
  return assert.fail("it was taken for an image");
}

const CPU: SavedCpu = { index: 0, registers: new Map([["RIP", 0xffffffff81000000n]]), isLong: true };
const RANGES = [
  { address: 0, size: 0xa0000 },
  { address: 0xc0000, size: MIB },
];

function core(cpus = [CPU]): { header: Buffer; size: number } {
  const { header, offsets } = writeElfCore(RANGES, cpus);
  return { header, size: offsets[1]! + MIB };
}

/** The core with other bytes at a place of its header. */
function changed(change: (header: Buffer) => void): Buffer {
  const { header } = core();
  change(header);
  return header;
}

test("an ELF core is read back as it was written, with 64 and with 32 bits", () => {
  for (const isLong of [true, false]) {
    const { header, size } = core([{ ...CPU, isLong }]);
    assert.equal(header[4], isLong ? 2 : 1);
    const { parts, cpus } = readElfCore(fileOf(header, size));
    assert.deepEqual(
      parts.map(({ address, size: length }) => ({ address, size: length })),
      RANGES,
    );
    assert.equal(parts[0]!.offset, header.length);
    assert.equal(cpus[0]?.isLong, isLong);
    assert.equal(cpus[0]?.registers.get("RIP"), 0xffffffff81000000n);
  }
});

test("a 32-bit machine with memory above 4 GiB gets a core of 64 bits", () => {
  const { header } = writeElfCore([...RANGES, { address: 0x100000000, size: MIB }], [{ ...CPU, isLong: false }]);
  assert.deepEqual([header[4], header.readUInt16LE(18)], [2, 3]);
});

test("a core that is cut off, claims too much or is none is refused with the reason", () => {
  const { header, size } = core();
  assert.match(fail(header, size - 1), /the image is cut off: the memory at 0xc0000 would end at byte \d+ of the file/);
  assert.match(
    fail(header.subarray(0, 40)),
    /the ELF core is cut off: its header would end at 64, the file ends at 40/,
  );
  assert.match(fail(header.subarray(0, 100)), /its program headers would end at 232, the file ends at 100/);
  assert.match(
    fail(
      changed((bytes) => bytes.writeUInt16LE(3, 16)),
      size,
    ),
    /a shared library or program \(type 3\) and no core/,
  );
  assert.match(
    fail(
      changed((bytes) => bytes.writeUInt16LE(183, 18)),
      size,
    ),
    /another processor \(machine 183\)/,
  );
  assert.match(
    fail(
      changed((bytes) => bytes.writeUInt8(2, 5)),
      size,
    ),
    /big-endian/,
  );
  assert.match(
    fail(
      changed((bytes) => bytes.writeUInt16LE(0, 56)),
      size,
    ),
    /no program headers, so no memory/,
  );
  // Hundreds of GiB of memory, of notes, and of program headers.
  const second = 64 + 2 * 56;
  assert.match(
    fail(
      changed((bytes) => bytes.writeBigUInt64LE(1n << 38n, second + 32)),
      size,
    ),
    /the image is cut off/,
  );
  assert.match(
    fail(
      changed((bytes) => bytes.writeBigUInt64LE(1n << 63n, second + 32)),
      size,
    ),
    /which no machine has/,
  );
  assert.match(
    fail(
      changed((bytes) => bytes.writeBigUInt64LE(1n << 38n, 64 + 32)),
      size,
    ),
    /claims to have \d+ bytes of notes/,
  );
  const many = changed((bytes) => {
    bytes.writeUInt16LE(0xffff, 56);
    bytes.writeBigUInt64LE(0x800n, 40);
    bytes.writeUInt32LE(0xffffffff, 0x800 + 44);
  });
  assert.match(fail(many, size), /4294967295 program headers: more than 65536/);
});

test("the core of a program is none of a machine: its memory has no physical addresses", () => {
  const program = changed((bytes) => bytes.writeBigUInt64LE(0n, 64 + 2 * 56 + 24));
  assert.match(fail(program, core().size), /the memory at 0x0 is there twice: this is the core of a program/);
});

test("a note that reaches behind the end of the notes is refused", () => {
  const notesAt = 64 + 3 * 56;
  const broken = changed((bytes) => bytes.writeUInt32LE(0xfffffff0, notesAt + 4));
  assert.match(fail(broken, core().size), /note at 0x0 of its notes reaches behind their end/);
});

test("a LiME image that is cut off, damaged or of another version is refused with the reason", () => {
  const header = makeLimeHeader({ address: MIB, size: MIB });
  const { parts } = readImageLayout(fileOf(header, MIB + 32));
  assert.deepEqual(parts, [{ address: MIB, offset: 32, size: MIB }]);
  assert.match(fail(header, MIB), /the image is cut off: the memory at 0x100000 would end at byte 1048608/);
  assert.match(fail(header, MIB + 40), /cut off: it ends within the header at byte 1048608/);
  assert.match(fail(header, MIB + 100), /damaged: there is no header at byte 1048608/);
  const change = (at: number, value: bigint) => {
    const copy = Buffer.from(header);
    copy.writeBigUInt64LE(value, at);
    return copy;
  };
  const version = Buffer.from(header);
  version.writeUInt32LE(2, 4);
  assert.match(fail(version), /a LiME image of version 2: only version 1 is known/);
  assert.match(fail(change(16, 0n)), /a range that no machine has/);
  assert.match(fail(change(16, 1n << 63n)), /a range that no machine has/);
  assert.match(fail(change(16, 100n << 30n)), /the image is cut off/);
  const twice = Buffer.concat([makeLimeHeader({ address: 0, size: 64 }), Buffer.alloc(64)]);
  assert.match(fail(Buffer.concat([twice, twice])), /the memory at 0x0 is there twice/);
});

test("files of other kinds are called by their name", () => {
  assert.match(fail(Buffer.from("KDUMP   xxxxxxxx"), MIB), /compressed kdump image: .* without -z/);
  assert.match(fail(Buffer.from("QFI\xfbxxxx", "latin1"), MIB), /a disk image \(qcow2\)/);
  assert.match(fail(Buffer.from("\x1f\x8bxxxx", "latin1"), MIB), /compressed by gzip/);
  assert.match(fail(Buffer.from("hello")), /no memory image: it has 5 bytes/);
  assert.match(fail(Buffer.alloc(0)), /no memory image: it has 0 bytes/);
  assert.match(fail(Buffer.alloc(16), MIB + 1), /its 1048577 bytes are no whole pages/);
  assert.deepEqual(readImageLayout(fileOf(Buffer.alloc(16), MIB)).parts, [{ address: 0, offset: 0, size: MIB }]);
});
