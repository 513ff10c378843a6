import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { PeError } from "../../src/systems/errors";
import { Pdb } from "../../src/systems/symbols/pdb/pdb";
import { pdbSourceOf } from "../../src/systems/symbols/pdb/pdb-source";
import { PeImage } from "../../src/systems/windows/images/pe-image";
import { type PeSource, peSourceOfFile } from "../../src/systems/windows/images/pe-source";
import { describeCode, listExports, listHeader, listSections, listUnwinding } from "../kit/windows/pe-listing";
import { type BuiltImage, buildImage, IMAGE_BASE, WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const SOURCE = `
  int __declspec(dllexport) NtBuildNumber = 19041;
  int _fltused; double scale = 2;
  int __attribute__((noinline)) leaf(int *p) { return p[0] + p[1]; }
  int __attribute__((noinline)) large(int n) { volatile char block[3000]; block[n] = n; return leaf((int *)block + n) + block[n / 2]; }
  int __attribute__((noinline)) huge(int n) { volatile int block[200000]; block[n] = n; return leaf((int *)block + n); }
  int __attribute__((noinline)) variable(int n) { int block[n]; block[0] = n; return leaf(block) + large(n); }
  int __attribute__((noinline)) many(int *p) {
    double a = p[0] * scale, b = p[1] * scale; int c = leaf(p), d = leaf(p + 1), e = leaf(p + 2), f = large(c);
    return a * b + c * d + e * f + leaf(p + 3) * a + huge(d) * b;
  }
  int __declspec(dllexport) PsCall(int *p) { return many(p) + variable(p[0]); }
  int start(int *p) { return PsCall(p) + NtBuildNumber; }
  void *memset(void *p, int c, unsigned long long n) { char *q = p; while (n--) *q++ = c; return p; }
  void __chkstk(void) {} void _chkstk(void) {} void _alloca_probe(void) {}
`;
const LINK = ["/export:Sent=OTHER.Received", "/export:ByNumber=OTHER.#12", "/export:start,@40,NONAME"];

let folder: string;
const built = new Map<number, BuiltImage>();
before(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-pe-"));
  if (WITHOUT_WINDOWS_TOOLS) return;
  for (const bits of [32, 64] as const) {
    built.set(bits, buildImage(folder, SOURCE, { bits, name: `kernel${bits}`, link: LINK }));
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Lays a file out as it is in memory; pages that a test wants missing are. */
function inMemory(file: Buffer, isThere: (page: number) => boolean = () => true): PeSource {
  const source = peSourceOfFile(file);
  const { header } = new PeImage(source);
  const memory = Buffer.alloc(header.imageSize);
  file.copy(memory, 0, 0, header.headersSize);
  for (const { rva, size } of header.sections) memory.set(source.read(rva, size)!, rva);
  return {
    read: (rva, size) => {
      if (rva + size > memory.length) return undefined;
      for (let page = rva >>> 12; page <= (rva + size - 1) >>> 12; page++) if (!isThere(page)) return undefined;
      return memory.subarray(rva, rva + size);
    },
  };
}

for (const bits of [32, 64] as const) {
  test(
    `an image of ${bits} bits has the header, sections and exports that llvm-readobj lists`,
    { skip: WITHOUT_WINDOWS_TOOLS },
    () => {
      const { exe, pdb } = built.get(bits)!;
      const file = readFileSync(exe);
      for (const image of [new PeImage(peSourceOfFile(file)), new PeImage(inMemory(file))]) {
        const { header } = image;
        const { timeDateStamp, imageSize, entryPoint, sections } = header;
        assert.deepEqual({ timeDateStamp, imageSize, entryPoint, sections: sections.length }, listHeader(exe));
        assert.equal(header.preferredBase, IMAGE_BASE[bits]);
        assert.equal(header.bits, bits);
        assert.deepEqual(
          sections.map(({ name, rva, size }) => ({ name, rva, size })),
          listSections(exe),
        );
        assert.equal(image.findSection(sections[0]!.rva + 1)?.name, ".text");
        const exports = image.exports.list();
        assert.deepEqual(
          exports.map(({ name, ordinal, rva }) => `${ordinal} ${name} at ${rva}`).sort(),
          listExports(exe).sort(),
        );
        assert.deepEqual(
          [image.exports.find("Sent")?.forwarder, image.exports.find("ByNumber")?.forwarder],
          ["OTHER.Received", "OTHER.#12"],
        );
        assert.equal(image.exports.find("start"), undefined);
        assert.equal(exports.find(({ ordinal }) => ordinal === 40)?.rva, header.entryPoint);
        const { guid, age } = new Pdb(pdbSourceOf(readFileSync(pdb)), pdb);
        assert.deepEqual(image.debugRecord, { name: `kernel${bits}.pdb`, guid, age });
      }
    },
  );
}

test("the functions of a 64-bit image are left as llvm-readobj says", { skip: WITHOUT_WINDOWS_TOOLS }, () => {
  const { exe } = built.get(64)!;
  const { unwindTable } = new PeImage(peSourceOfFile(readFileSync(exe)));
  const functions = [...unwindTable.functions()];
  const described = functions.map((one) => {
    const { codes } = unwindTable.readInformation(one);
    return `${one.start} ${one.end} ${codes.map(describeCode).join("; ")}`;
  });
  assert.deepEqual(described, listUnwinding(exe));
  const steps = described.join();
  for (const step of ["PUSH_NONVOL", "ALLOC size=800", "SAVE_XMM128", "SET_FPREG"])
    assert.ok(steps.includes(step), step);
  for (const one of functions) {
    assert.deepEqual(unwindTable.findFunction(one.start), one);
    assert.deepEqual(unwindTable.findFunction(one.end - 1), one);
  }
  assert.equal(unwindTable.findFunction(0), undefined);
  assert.equal(new PeImage(peSourceOfFile(readFileSync(built.get(32)!.exe))).unwindTable.count, 0);
});

test(
  "the record of an image is found where its debug directory is not in memory",
  { skip: WITHOUT_WINDOWS_TOOLS },
  () => {
    const file = readFileSync(built.get(64)!.exe);
    const whole = new PeImage(peSourceOfFile(file));
    const { rva } = whole.header.directories[6]!;
    const record = whole.debugRecord!;
    // The record is moved to a page of its own, behind the directory's.
    const moved = Buffer.from(file);
    const at = moved.indexOf("RSDS");
    const data = whole.header.sections.find(({ name }) => name === ".text")!;
    moved.copy(moved, data.fileOffset + 16, at, at + 64);
    moved.fill(0, at, at + 64);
    assert.deepEqual(new PeImage(inMemory(moved, (page) => page !== rva >>> 12)).debugRecord, record);
    assert.equal(new PeImage(inMemory(file, (page) => page === 0)).debugRecord, undefined);
  },
);

test("parts of an image that are not in memory are named, and the others read", { skip: WITHOUT_WINDOWS_TOOLS }, () => {
  const file = readFileSync(built.get(64)!.exe);
  const image = new PeImage(inMemory(file, (page) => page === 0));
  assert.equal(image.header.bits, 64);
  assert.throws(() => image.exports, /directory of the image's exports, at RVA 0x[0-9a-f]+, cannot be read/);
  assert.throws(() => image.unwindTable, /table of functions at RVA 0x[0-9a-f]+ cannot be read/);
  assert.throws(() => new PeImage(inMemory(file, () => false)), /headers of the PE image cannot be read/);
});

test("a file that is no PE image is refused by what it is", () => {
  const refuse = (bytes: Buffer, message: RegExp): void =>
    assert.throws(
      () =>
        new PeImage({
          read: (rva, size) => (rva + size <= bytes.length ? bytes.subarray(rva, rva + size) : undefined),
        }),
      (error) => error instanceof PeError && message.test(error.message),
    );
  const dos = Buffer.alloc(4096);
  dos.write("MZ");
  refuse(Buffer.alloc(4096), /does not begin with MZ/);
  refuse(dos, /program for DOS/);
  dos.writeUInt32LE(0xfffffff0, 60);
  refuse(dos, /end after 4096 bytes/);
  dos.writeUInt32LE(64, 60);
  dos.write("PE\0\0", 64);
  dos.writeUInt16LE(0xaa64, 68);
  refuse(dos, /processor 0xaa64/);
  dos.writeUInt16LE(0x8664, 68);
  refuse(dos, /optional header of the kind 0x0/);
});

test(
  "images that were changed anywhere give a PeError or another answer, and nothing else",
  { skip: WITHOUT_WINDOWS_TOOLS, timeout: 120_000 },
  () => {
    const file = readFileSync(built.get(64)!.exe);
    const extreme = fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffff, 0x10000, 0xfffffffe, 0xffffffff);
    const directories = new PeImage(peSourceOfFile(file)).header;
    const inTables = directories.sections
      .filter(({ name }) => name !== ".text")
      .map(({ fileOffset, fileSize }) => [fileOffset, fileSize] as const);
    const place = fc.oneof(
      fc.nat(0x400 / 4 - 1).map((index) => index * 4),
      ...inTables.map(([start, size]) => fc.nat(Math.max(0, size / 2 - 2)).map((index) => start + index * 2)),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(place, extreme), { minLength: 1, maxLength: 5 }), (changes) => {
        const bytes = Buffer.from(file);
        for (const [at, value] of changes) if (at + 4 <= bytes.length) bytes.writeUInt32LE(value, at);
        const read = (act: () => unknown): void => {
          try {
            act();
          } catch (error) {
            if (!(error instanceof PeError)) throw error;
            assert.equal(error.code, "REBOX_PE");
          }
        };
        read(() => {
          const image = new PeImage(peSourceOfFile(bytes));
          read(() => image.debugRecord);
          read(() => image.exports.find("PsCall"));
          read(() => {
            for (const one of image.unwindTable.functions()) read(() => image.unwindTable.readInformation(one));
            image.unwindTable.findFunction(0x1000);
          });
        });
      }),
      // A directory of unwind data that is longer than whole entries.
      { numRuns: 1500, examples: [[[[392, 0x80000000], [284, 0x7fffffff], [2048, 0]]]] }, // prettier-ignore
    );
  },
);
