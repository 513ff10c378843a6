import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { CodeArtefact } from "../../src/lab/analysis/report/artefacts";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { analyze } from "../kit/lab/analyze-run";
import type { TestLab } from "../kit/lab/lab-run";
import { withReadyMachine } from "../kit/lab/ready-lab";
import { PROJECT } from "../kit/project";

/** Debian's packer UPX, which set-up fetches with the libraries that it is linked with. */
const PACKER = join(PROJECT, "build/packer");
const NEEDS_PACKER = existsSync(join(PACKER, "upx-ucl"))
  ? false
  : "build/packer is missing: set-up has not fetched UPX";

const KEY = 0x5a;

/** The inner layer: ends the process with a status of its own. */
const INNER = `
  .globl _start
_start:
  mov $231, %eax
  mov $42, %edi
  syscall
  .ascii "the inner layer"`;

/** The outer layer: decrypts the inner one into memory of its own. The program has put its place into r12 and its size into r13. */
const OUTER = `
  .globl _start
_start:
  mov $9, %eax; xor %edi, %edi; mov $4096, %esi; mov $3, %edx; mov $0x22, %r10d; mov $-1, %r8; xor %r9d, %r9d
  syscall
  mov %rax, %rbx
  xor %ecx, %ecx
1: mov (%r12,%rcx), %dl
  xor $${KEY}, %dl
  mov %dl, (%rbx,%rcx)
  inc %rcx
  cmp %r13, %rcx
  jb 1b
  mov $10, %eax; mov %rbx, %rdi; mov $4096, %esi; mov $5, %edx
  syscall
  jmp *%rbx
  .ascii "the outer layer"`;

/** The same in one piece of memory that is always writable and executable: the inner layer lies in its second page, filled before. */
const OUTER_IN_PLACE = `
  .globl _start
_start:
  xor %ecx, %ecx
  lea 4096(%r14), %rbx
1: mov (%r12,%rcx), %dl
  xor $${KEY}, %dl
  mov %dl, (%rbx,%rcx)
  inc %rcx
  cmp %r13, %rcx
  jb 1b
  jmp *%rbx
  .ascii "the outer layer in place"`;

/** A packer: the program has both layers encrypted. */
function makePacked(outer: Buffer, inner: Buffer, isInPlace: boolean): string {
  const words = (code: Buffer) => [...code].map((byte) => byte ^ KEY).join(",");
  return `
#include <string.h>
#include <sys/mman.h>
static const unsigned char outer[] = {${words(outer)}}, inner[] = {${words(inner)}};
int main(void) {
  unsigned char *at = mmap(0, 8192, PROT_READ | PROT_WRITE${isInPlace ? " | PROT_EXEC" : ""}, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(at, 0xcc, 8192);
  for (unsigned i = 0; i < sizeof outer; i++) at[i] = outer[i] ^ ${KEY};
  ${isInPlace ? "" : "mprotect(at, 8192, PROT_READ | PROT_EXEC);"}
  register const void *r12 asm("r12") = inner;
  register long r13 asm("r13") = sizeof inner;
  register void *r14 asm("r14") = at;
  asm volatile("jmp *%0" : : "r"(at), "r"(r12), "r"(r13), "r"(r14) : "memory");
}`;
}

/** A compiler of the simplest kind: makes functions one after the other, and a child of it executes the last one. */
const COMPILER = `
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
  unsigned char *at = mmap(0, 1 << 20, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int sum = 0;
  for (int i = 0; i < 300; i++) {
    unsigned char code[] = {0xb8, i, i >> 8, 0, 0, 0xc3};
    unsigned char *function = at + i * 1000;
    memcpy(function, code, sizeof code);
    sum += ((int (*)(void))function)();
  }
  if (fork() == 0) _exit(((int (*)(void))(at + 299 * 1000))() == 299 ? 0 : 1);
  int status;
  wait(&status);
  return sum == 300 * 299 / 2 && status == 0 ? 17 : 1;
}`;

const PLAIN = `
#include <stdio.h>
int main(void) { puts("unpacked"); return 5; }`;

/** Assembles code that runs wherever it lies. */
function assemble(lab: TestLab, name: string, source: string): Buffer {
  const [text, object, binary] = ["s", "o", "bin"].map((end) => lab.path(`${name}.${end}`)) as [string, string, string];
  writeFileSync(text, `${source}\n`);
  execFileSync("as", ["-o", object, text]);
  execFileSync("ld", ["--oformat", "binary", "-Ttext", "0", "-e", "_start", "-o", binary, object]);
  return readFileSync(binary);
}

function compile(lab: TestLab, name: string, source: string): string {
  writeFileSync(lab.path(`${name}.c`), source);
  execFileSync("gcc", ["-O1", "-static", "-o", lab.path(name), lab.path(`${name}.c`)]);
  return lab.path(name);
}

const MODULES = "[processes]\nenabled = yes\n[syscalls]\nenabled = yes\n[artefacts]\nenabled = yes\n";

function withLab(use: (lab: TestLab) => Promise<void>): Promise<void> {
  return withReadyMachine({ "conf/auxiliary.conf": MODULES }, use);
}

/** Analyses a program to its end. */
async function run(lab: TestLab, target: string, id: number, status: number): Promise<AnalysisReport> {
  const { stdout } = await analyze(lab, "--target", target, "--timeout", "60");
  const report = JSON.parse(lab.read(`analyses/${id}/report.json`)) as AnalysisReport;
  assert.equal(report.analysis.reason, `the target ended with status ${status}`, stdout + JSON.stringify(report.log));
  const { errors } = report.analysis.auxiliary.find(({ name }) => name === "artefacts")!;
  assert.deepEqual(errors, []);
  assert.deepEqual(report.log.filter(({ level, text }) => level !== "info" && text.startsWith("artefacts")), []); // prettier-ignore
  return report;
}

const readRaw = (lab: TestLab, id: number, { raw }: CodeArtefact) =>
  readFileSync(lab.path(`analyses/${id}/code/${raw!}`));
const firedIn = ({ verdict }: AnalysisReport) => verdict!.findings.map(({ name }) => name);

test("a packer of two layers is unpacked: each layer is kept as it is when it is executed first, in memory of its own and in one piece", async () => {
  await withLab(async (lab) => {
    const inner = assemble(lab, "inner", INNER);
    for (const [index, [source, isInPlace]] of (
      [
        [OUTER, false],
        [OUTER_IN_PLACE, true],
      ] as const
    ).entries()) {
      const outer = assemble(lab, `outer${index}`, source);
      const packed = compile(lab, `packed${index}`, makePacked(outer, inner, isInPlace));
      assert.equal(readFileSync(packed).includes(inner), false);
      const id = index + 1;
      const report = await run(lab, packed, id, 42);
      assert.deepEqual(report.code.map(({ layer, left, path }) => [layer, left, path]), [[1, undefined, ""], [2, undefined, ""]]); // prettier-ignore
      const [first, second] = report.code as [CodeArtefact, CodeArtefact];
      assert.deepEqual(readRaw(lab, id, first).subarray(0, outer.length), outer);
      const at = Number(BigInt(second.entry) - BigInt(second.start));
      assert.deepEqual(readRaw(lab, id, second).subarray(at, at + inner.length), inner);
      assert.deepEqual([first.entry, first.first], [first.start, first.start]);
      // The process as it was: its first thread is about to execute the entry.
      const gdb = execFileSync("gdb", ["-nx", "-batch", "-ex", "info registers rip", "-ex", `x/s ${second.entry}+12`, packed, lab.path(`analyses/${id}/code/${second.core!}`)], { encoding: "utf8" }); // prettier-ignore
      assert.match(gdb, new RegExp(`rip +${second.first}\\b`));
      assert.match(gdb, /"the inner layer/);
      const acts = report.control.filter(({ type }) => type === "process.written_code");
      assert.deepEqual(acts.map(({ entry, layer }) => [entry, layer]), report.code.map(({ entry, layer }) => [entry, layer])); // prettier-ignore
      for (const name of ["unpacked-code", "unpacked-twice"]) assert.ok(firedIn(report).includes(name), name);
      assert.match(lab.read(`analyses/${id}/report.html`), /Code that was written at run time/);
    }
  });
});

test(
  "what UPX has packed is unpacked: its code is that of the program before, byte by byte, and its entry is found",
  { skip: NEEDS_PACKER },
  async () => {
    await withLab(async (lab) => {
      const plain = compile(lab, "plain", PLAIN);
      const packed = lab.path("packed");
      const libraries = ["--library-path", PACKER, join(PACKER, "upx-ucl")];
      execFileSync(join(PACKER, "ld-linux-x86-64.so.2"), [...libraries, "-q", "-o", packed, plain]);
      const report = await run(lab, packed, 1, 5);
      const before = readFileSync(plain);
      const entry = `0x${before.readBigUInt64LE(24).toString(16)}`;
      const unpacked = report.code.find((one) => one.entry === entry);
      assert.ok(unpacked, JSON.stringify(report.code));
      const sections = execFileSync("readelf", ["-SW", plain], { encoding: "utf8" });
      const [, address, offset, size] = /\.text +PROGBITS +(\w+) (\w+) (\w+)/.exec(sections)!.map((word) => parseInt(word, 16)) as [number, number, number, number]; // prettier-ignore
      const at = address - Number(unpacked.start);
      const code = readRaw(lab, 1, unpacked).subarray(at, at + size);
      assert.equal(Buffer.compare(code, before.subarray(offset, offset + size)), 0);
      assert.ok(firedIn(report).includes("unpacked-code"), JSON.stringify(report.code));
    });
  },
);

test("a compiler's code is one layer, told a few times, and a child that executes it tells nothing again; a plain program tells nothing", async () => {
  await withLab(async (lab) => {
    const report = await run(lab, compile(lab, "compiler", COMPILER), 1, 17);
    assert.ok(report.code.length >= 1 && report.code.length <= 8, String(report.code.length));
    assert.deepEqual([...new Set(report.code.map(({ layer }) => layer))], [1]);
    assert.equal(new Set(report.code.map(({ pid }) => pid)).size, 1);
    assert.equal(firedIn(report).includes("unpacked-twice"), false);
    const quiet = await run(lab, compile(lab, "plain", PLAIN), 2, 5);
    assert.deepEqual(quiet.code, []);
  });
});
