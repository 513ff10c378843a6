import assert from "node:assert/strict";
import { test } from "node:test";
import { compareRuns, readRun, writeRun } from "../../scripts/_coverage_file";

const MODULES = [
  { path: "/bin/program, with\na comma", base: 0x5555_0000_0000n, size: 0x4000, blocks: new Map([[0x10, 5], [0x3fff, 70_000]]) }, // prettier-ignore
  { path: "vmlinux", base: 0xffff_ffff_8100_0000n, size: 0x200_0000, blocks: new Map([[0x1ff_ffff, 1]]) },
];

/**
 * Reads a file as Lighthouse does (plugins/lighthouse/reader/parsers/drcov.py): lines in their order, columns that end at ", ", a table of
 * 8 bytes each; and as Dragon Dance (DynamorioDataSource.java), which ends columns at each comma.
 */
function readAsOthers(file: Uint8Array) {
  const text = Buffer.from(file).toString("latin1");
  const lines = text.split("\n");
  const next = (): string => lines.shift()!;
  assert.equal(Number(next().split(":")[1]), 2);
  assert.equal(next().split(":")[0], "DRCOV FLAVOR");
  const [, table] = next().split(": ") as [string, string];
  const [version, count] = table.split(", ").map((part) => Number(part.split(" ")[1]));
  assert.equal(version, 2);
  const columns = next().split(": ")[1]!.split(", ");
  const modules = Array.from({ length: count! }, () => {
    const line = next();
    const data = line.split(", ");
    assert.equal(data.length, columns.length);
    assert.equal(line.split(",").length, columns.length);
    return { id: Number(data[0]), base: BigInt(data[1]!), end: BigInt(data[2]!), path: data.at(-1)! };
  });
  const [, bbs] = next().split(": ") as [string, string];
  const [blocks, word] = bbs.split(" ") as [string, string];
  assert.equal(word, "bbs");
  const begin = text.indexOf(`BB Table: ${bbs}\n`) + `BB Table: ${bbs}\n`.length;
  const view = new DataView(file.buffer, file.byteOffset + begin);
  assert.equal(view.byteLength, 8 * Number(blocks));
  const entries = Array.from({ length: Number(blocks) }, (_, index) => ({
    start: view.getUint32(index * 8, true),
    size: view.getUint16(index * 8 + 4, true),
    module: view.getUint16(index * 8 + 6, true),
  }));
  return { modules, entries };
}

test("a file is what Lighthouse and Dragon Dance read, whatever the guest calls its files", () => {
  const { modules, entries } = readAsOthers(writeRun(MODULES));
  assert.deepEqual(modules, [
    { id: 0, base: 0x5555_0000_0000n, end: 0x5555_0000_4000n, path: "/bin/program_ with_a comma" },
    { id: 1, base: 0xffff_ffff_8100_0000n, end: 0xffff_ffff_8300_0000n, path: "vmlinux" },
  ]);
  assert.deepEqual(entries, [
    { start: 0x10, size: 5, module: 0 },
    { start: 0x3fff, size: 0xffff, module: 0 },
    { start: 0x1ff_ffff, size: 1, module: 1 },
  ]);
  // A reader that expects a module takes the line that follows for one.
  assert.equal(readAsOthers(writeRun([])).modules.length, 1);
});

test("a file is read again, and two are compared by module", () => {
  const one = readRun(writeRun(MODULES));
  assert.deepEqual(one.map(({ path, blocks }) => [path, [...blocks.keys()]]), [["/bin/program_ with_a comma", [0x10, 0x3fff]], ["vmlinux", [0x1ff_ffff]]]); // prettier-ignore
  // The same module in two processes, at two places.
  const other = readRun(
    writeRun([
      { path: "vmlinux", base: 0n, size: 0x200_0000, blocks: new Map([[0x1ff_ffff, 1], [7, 2]]) }, // prettier-ignore
      { path: "library", base: 0x1000n, size: 64, blocks: new Map([[1, 2]]) },
      { path: "library", base: 0x9000n, size: 64, blocks: new Map([[1, 2], [9, 3]]) }, // prettier-ignore
    ]),
  );
  const { rows, onlyOther } = compareRuns(one, other);
  assert.deepEqual(rows, [
    { path: "/bin/program_ with_a comma", both: 0, first: 2, second: 0 },
    { path: "library", both: 0, first: 0, second: 2 },
    { path: "vmlinux", both: 1, first: 0, second: 1 },
  ]);
  assert.deepEqual(onlyOther.map(({ path, blocks }) => [path, [...blocks.keys()]]), [["library", [1, 9]], ["vmlinux", [7]]]); // prettier-ignore
  assert.throws(() => readRun(writeRun(MODULES).subarray(0, 300)), /no whole file/);
  assert.throws(() => readRun(Buffer.from("DRCOV VERSION: 3\n")), /no whole file/);
});
