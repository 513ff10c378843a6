import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { BlockSource } from "../../src/guest/disks/block-source";
import { DiskError } from "../../src/guest/errors";
import { ExtVolume, ROOT_INODE } from "../../src/guest/disks/ext/ext-volume";
import { readPartitions } from "../../src/guest/disks/partition-table";
import { findVolumeType } from "../../src/guest/disks/volume-type";
import { debugExt4, makeExt4, writeTree } from "../kit/guests/disk-image";

const SECTOR = 512;

class Bytes implements BlockSource {
  constructor(private readonly bytes: Buffer) {}

  get sizeBytes(): number {
    return this.bytes.length;
  }

  read(offset: number, size: number): Promise<Uint8Array> {
    if (offset + size > this.bytes.length) return Promise.reject(new DiskError("behind the end"));
    return Promise.resolve(Buffer.from(this.bytes.subarray(offset, offset + size)));
  }
}

/** Lists every path that can be reached, at most so many, and reads the beginning of every file. */
async function walk(volume: ExtVolume, most = 2000): Promise<{ paths: string[]; problems: string[] }> {
  const paths: string[] = [];
  const problems: string[] = [];
  const waiting = [{ inode: ROOT_INODE, path: "" }];
  for (let at = waiting.pop(); at && paths.length < most; at = waiting.pop()) {
    const { entries, problem } = await volume.list(at.inode);
    if (problem !== undefined) problems.push(problem);
    for (const { name, facts } of entries.slice(0, most)) {
      const path = `${at.path}/${name.toString("latin1")}`;
      paths.push(path);
      if (!facts) continue;
      if ((facts.mode & 0xf000) === 0x4000) waiting.push({ inode: facts.inode, path });
      else if ((facts.mode & 0xf000) === 0x8000)
        await volume.read(facts.inode, 0, 4096).catch((error: unknown) => {
          assert.ok(error instanceof DiskError, String(error));
          problems.push(error.message);
        });
    }
  }
  return { paths, problems };
}

describe("an ext file system", () => {
  let folder: string;
  const image = (): string => join(folder, "disk.img");

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "rebox-ext-"));
    const files = Array.from({ length: 200 }, (_, index) => [`d${index % 7}/file-${index}`, `${index}`.repeat(index)]);
    writeTree(join(folder, "tree"), Object.fromEntries(files) as Record<string, string>);
    makeExt4(image(), join(folder, "tree"), "8M");
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [what, options] of [
    ["as ext4 is made today", []],
    ["with blocks of 1 KiB and names in its inodes", ["-b", "1024", "-O", "inline_data"]],
    ["without extents, as ext2", ["-O", "^extents,^has_journal,^64bit,^metadata_csum"]],
  ] as const) {
    test(`${what} has the files that were put there`, async () => {
      const path = join(folder, "kind.img");
      makeExt4(path, join(folder, "tree"), "8M", options);
      const volume = await ExtVolume.open(new Bytes(readFileSync(path)));
      try {
        const { paths, problems } = await walk(volume);
        assert.deepEqual(problems, []);
        assert.equal(paths.filter((one) => one.includes("/file-")).length, 200);
        const directory = await volume.findInode(ROOT_INODE, Buffer.from("d3"));
        const inode = await volume.findInode(directory!, Buffer.from("file-150"));
        assert.equal(String(await volume.read(inode!, 0, 10_000)), "150".repeat(150));
        assert.equal(await volume.findInode(ROOT_INODE, Buffer.from("nothing")), undefined);
      } finally {
        volume.close();
      }
    });
  }

  test("whose super block is damaged is an error", async () => {
    const bytes = readFileSync(image());
    for (const [offset, value] of [
      // s_magic, s_log_block_size, s_blocks_count, s_inodes_per_group, s_inode_size, s_desc_size
      [0x38, 0],
      [0x18, 0x7f],
      [0x04, 0xffffffff],
      [0x28, 0xffffffff],
      [0x58, 7],
      [0x20, 0],
    ] as const) {
      const damaged = Buffer.from(bytes);
      damaged.writeUInt32LE(value, 1024 + offset);
      await assert.rejects(ExtVolume.open(new Bytes(damaged)), DiskError, `offset ${offset}`);
    }
  });

  test("whose directories lead around in circles, whose sizes are made up, is answered to an end", async () => {
    const path = join(folder, "loop.img");
    makeExt4(path, join(folder, "tree"), "8M");
    debugExt4(path, [
      "ln /d1 /d1/loop",
      "sif /d2/file-2 size 0x7fffffffffffff00",
      "sif /d3/file-3 block[0] 0xfffffff0",
    ]);
    const volume = await ExtVolume.open(new Bytes(readFileSync(path)));
    try {
      const { paths } = await walk(volume, 1000);
      assert.ok(paths.some((one) => one.startsWith("/d1/loop/loop/loop/")));
    } finally {
      volume.close();
    }
  });

  test("that is damaged anywhere gives errors, and never anything else", { timeout: 300_000 }, async () => {
    const bytes = readFileSync(image());
    // A generator of its own: a failure can be had again.
    let seed = 20_261_121;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    let failures = 0;
    for (let round = 0; round < 60; round++) {
      const damaged = Buffer.from(bytes);
      // Most of an empty disk means nothing: its beginning does.
      for (let count = 0; count < 200; count++) damaged[1024 + random(600_000)] = random(256);
      try {
        const volume = await ExtVolume.open(new Bytes(damaged));
        try {
          failures += (await walk(volume, 500)).problems.length;
        } finally {
          volume.close();
        }
      } catch (error) {
        assert.ok(error instanceof DiskError, `round ${round}: ${String(error)}`);
        failures++;
      }
    }
    assert.ok(failures > 10, `${failures}`);
  });

  test("that cannot be read is an error", async () => {
    const broken: BlockSource = { sizeBytes: 2 ** 23, read: () => Promise.reject(new DiskError("no")) };
    await assert.rejects(ExtVolume.open(broken), DiskError);
  });

  test("is recognised by its marks", async () => {
    assert.equal(await findVolumeType(new Bytes(readFileSync(image()))), "ext4");
    assert.equal(await findVolumeType(new Bytes(Buffer.alloc(100_000))), undefined);
    const xfs = Buffer.alloc(100_000);
    xfs.write("XFSB");
    assert.equal(await findVolumeType(new Bytes(xfs)), "xfs");
  });
});

describe("a partition table", () => {
  const disk = (sectors = 4096): Buffer => {
    const bytes = Buffer.alloc(sectors * SECTOR);
    bytes.writeUInt16LE(0xaa55, 510);
    return bytes;
  };
  const entry = (bytes: Buffer, sector: number, index: number, type: number, start: number, size: number): void => {
    bytes.writeUInt8(type, sector * SECTOR + 446 + 16 * index + 4);
    bytes.writeUInt32LE(start, sector * SECTOR + 446 + 16 * index + 8);
    bytes.writeUInt32LE(size, sector * SECTOR + 446 + 16 * index + 12);
    bytes.writeUInt16LE(0xaa55, sector * SECTOR + 510);
  };
  const read = async (bytes: Buffer): Promise<string[]> =>
    (await readPartitions(new Bytes(bytes))).map(
      ({ number, start, sizeBytes }) => `${number} ${start / 512} ${sizeBytes / 512}`,
    );

  test("of an MBR has primary and logical partitions, and none beyond the disk", async () => {
    const bytes = disk();
    entry(bytes, 0, 0, 0x83, 100, 200);
    entry(bytes, 0, 1, 0x05, 1000, 1000);
    entry(bytes, 0, 2, 0x83, 4000, 1000);
    entry(bytes, 1000, 0, 0x83, 10, 20);
    entry(bytes, 1000, 1, 0x05, 100, 100);
    entry(bytes, 1100, 0, 0x83, 5, 30);
    assert.deepEqual(await read(bytes), ["1 100 200", "5 1010 20", "6 1105 30"]);
  });

  test("of an MBR whose logical partitions lead around in circles ends", async () => {
    const bytes = disk();
    entry(bytes, 0, 0, 0x05, 1000, 1000);
    entry(bytes, 1000, 0, 0x83, 10, 20);
    entry(bytes, 1000, 1, 0x05, 0, 100);
    assert.deepEqual(await read(bytes), ["5 1010 20"]);
  });

  const writeGpt = (bytes: Buffer, sector: number, count: number, size: number): void => {
    const at = sector * SECTOR;
    bytes.write("EFI PART", at);
    bytes.writeBigUInt64LE(2n, at + 72);
    bytes.writeUInt32LE(count, at + 80);
    bytes.writeUInt32LE(size, at + 84);
    entry(bytes, 0, 0, 0xee, 1, 0xffffffff);
    for (const [index, first, last] of [
      [0, 100n, 199n],
      [3, 300n, 399n],
      [5, 5000n, 6000n],
      [6, 900n, 100n],
    ] as const) {
      bytes.write("type", 2 * SECTOR + index * size);
      bytes.writeBigUInt64LE(first, 2 * SECTOR + index * size + 32);
      bytes.writeBigUInt64LE(last, 2 * SECTOR + index * size + 40);
    }
  };

  test("of a GPT has its partitions, and none that cannot be", async () => {
    const bytes = disk();
    writeGpt(bytes, 1, 128, 128);
    assert.deepEqual(await read(bytes), ["1 100 100", "4 300 100"]);
  });

  test("of a GPT is found at the disk's end, too", async () => {
    const bytes = disk();
    writeGpt(bytes, 4095, 128, 128);
    assert.deepEqual(await read(bytes), ["1 100 100", "4 300 100"]);
  });

  test("of a GPT with made-up counts and sizes ends", async () => {
    for (const [count, size] of [
      [0xffffffff, 128],
      [128, 0xffffffff],
      [4, 0],
    ] as const) {
      const bytes = disk();
      writeGpt(bytes, 1, 128, 128);
      bytes.writeUInt32LE(count, SECTOR + 80);
      bytes.writeUInt32LE(size, SECTOR + 84);
      assert.ok((await read(bytes)).length <= 2);
    }
  });

  test("that is not there has no partitions", async () => {
    assert.deepEqual(await read(Buffer.alloc(4096)), []);
    assert.deepEqual(await read(Buffer.alloc(10)), []);
  });
});
