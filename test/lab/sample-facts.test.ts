import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { renderSample } from "../../src/lab/analysis/report/sample-section";
import { computeEntropy, listStrings } from "../../src/lab/sample/byte-facts";
import { readElfFacts } from "../../src/lab/sample/elf-facts";
import { readSampleFacts } from "../../src/lab/sample/sample-facts";

const folder = mkdtempSync(join(tmpdir(), "rebox-test-"));
after(() => rmSync(folder, { recursive: true }));

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: "latin1", maxBuffer: 64 << 20, env: { ...process.env, LC_ALL: "C" } });
}

const count = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].length;

describe("the facts of a program are those that binutils, coreutils and file say", () => {
  for (const file of ["/bin/ls", process.execPath, run("sh", "-c", "ls /lib/x86_64-linux-gnu/libc.so.6").trim()]) {
    test(file, async () => {
      const facts = await readSampleFacts(file);
      for (const [hash, program] of [
        [facts.md5, "md5sum"],
        [facts.sha1, "sha1sum"],
        [facts.sha256, "sha256sum"],
      ] as const) {
        assert.equal(hash, run(program, file).slice(0, hash.length));
      }
      assert.equal(facts.type!.mime, run("file", "-bL", "--mime-type", file).trim());
      const elf = facts.elf!;
      const header = run("readelf", "-hW", file);
      assert.equal(elf.entry, /Entry point address: +(\S+)/.exec(header)![1]);
      const program = run("readelf", "-lW", file);
      assert.equal(elf.interpreter, /interpreter: ([^\]]+)\]/.exec(program)?.[1]);
      assert.equal(elf.segments.length, Number(/There are (\d+) program headers/.exec(program)![1]));
      assert.deepEqual(
        elf.segments.filter(({ type }) => type === "LOAD").map(({ permissions }) => permissions.replaceAll("-", "")),
        [...program.matchAll(/^ +LOAD(?: +0x\w+){5} ([RWE ]{3})/gm)].map(([, flags]) => flags!.replaceAll(" ", "").toLowerCase().replace("e", "x")), // prettier-ignore
      );
      const dynamic = run("readelf", "-dW", file);
      assert.deepEqual(
        elf.needed,
        [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name),
      );
      assert.equal(elf.buildId, /Build ID: (\w+)/.exec(run("readelf", "-nW", file))?.[1]);
      const sections = run("readelf", "-SW", file);
      assert.deepEqual(
        elf.sections.map(({ name, size }) => [name, size]),
        [...sections.matchAll(/^ +\[ *[1-9]\d*\] (\S+) +\S+ +\w+ \w+ (\w+)/gm)].map(([, name, size]) => [name, parseInt(size!, 16)]), // prettier-ignore
      );
      const symbols = run("readelf", "--dyn-syms", "-W", file);
      assert.equal(elf.imports.count, count(symbols, /^ +\d+: \w+ +\S+ +\S+ +(?:GLOBAL|WEAK|UNIQUE) +\S+ +UND \S/gm));
      assert.equal(
        elf.exports.count,
        count(symbols, /^ +\d+: \w+ +\S+ +\S+ +(?:GLOBAL|WEAK|UNIQUE) +\S+ +(?:\d+|ABS) \S/gm),
      );
      if (facts.problems.length > 0) return;
      const strings = run("strings", "-a", "-n", "6", file).split("\n").slice(0, -1);
      assert.equal(facts.strings.count, strings.length);
      assert.deepEqual(facts.strings.first, strings.slice(0, 2000).map((line) => line.slice(0, 200))); // prettier-ignore
    });
  }
});

test("entropy is that of Shannon, and strings are found up to the last byte", () => {
  assert.equal(computeEntropy(Buffer.alloc(1000)), 0);
  assert.equal(computeEntropy(Uint8Array.from({ length: 4096 }, (_, at) => at & 0xff)), 8);
  assert.equal(computeEntropy(Buffer.from("abab")), 1);
  const found = listStrings(Buffer.from("\x01secret\x00no\x02a longer text"), { shortest: 6, longest: 8, most: 9 });
  assert.deepEqual(found, { count: 2, first: ["secret", "a longer"] });
});

test("a damaged file has a problem and its other facts, and is shown as text", async () => {
  const file = join(folder, "damaged");
  const content = Buffer.concat([
    Buffer.from("\x7fELF\x02\x02", "latin1"),
    Buffer.from("<script>alert(1)</script>".padEnd(80)),
  ]);
  writeFileSync(file, content);
  const facts = await readSampleFacts(file);
  assert.equal(facts.elf, undefined);
  assert.match(facts.problems[0]!, /big-endian/);
  assert.doesNotMatch(renderSample(facts).text, /<script>/);
  assert.match(renderSample(facts).text, /&lt;script&gt;/);
});

test("no bytes of an ELF file, however they are changed, do more than be refused", () => {
  const program = readFileSync("/bin/true");
  const change = fc.tuple(fc.nat(program.length - 1), fc.nat(255));
  const header = fc.tuple(fc.nat(0x400), fc.nat(255));
  fc.assert(
    fc.property(fc.array(fc.oneof(change, header), { maxLength: 40 }), fc.nat(program.length), (changes, end) => {
      const bytes = Buffer.from(program);
      for (const [at, value] of changes) bytes[at] = value;
      try {
        readElfFacts(bytes.subarray(0, Math.max(end, 64)));
      } catch (error) {
        assert.ok((error as { code?: string }).code === "REBOX_ELF" || error instanceof RangeError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});
