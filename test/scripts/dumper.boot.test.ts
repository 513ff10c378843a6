import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import type { DumpFacts } from "../../scripts/_module_dumper";
import { defaultKit } from "../kit/guests/guest-kits";
import { readKitFiles } from "../kit/guests/kit-files";
import { runShippedScript } from "../kit/scripts/shipped-run";

const FILES = readKitFiles(defaultKit());

/** Runs a task with the dumper, and looks at what it has written. */
async function withDumps(
  task: string,
  words: string,
  use: (dumps: readonly DumpFacts[], folder: string, truth: ReadonlyMap<string, string>) => void,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-dumper-"));
  try {
    const dumps = join(folder, "results", "dumps");
    const run = await runShippedScript("dumper", `dump_when ${dumps} process=${task} ${words}`, {
      ...{ task, folder, timeoutMs: 180_000 },
    });
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
    assert.match(run.answers[0]!, /^waiting for /);
    const lines = readFileSync(join(dumps, "dumps.jsonl"), "utf8").trim().split("\n");
    const facts = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as DumpFacts);
    assert.equal(run.printed.length, facts.length);
    use(facts, dumps, run.truth);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const runTool = (...words: readonly [string, ...string[]]) =>
  execFileSync(words[0], words.slice(1), { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 64 << 20 });

/** Reads the segments that are loaded. */
const listLoads = (file: string) =>
  [...runTool("readelf", "-lW", file).matchAll(/^ +LOAD +(\w+) (\w+) \w+ (\w+) (\w+) ([R W]+E?)/gm)].map(
    ([, offset, address, fileSize, memorySize, flags]) => ({
      ...{ offset: Number(offset), address: Number(address), fileSize: Number(fileSize) },
      ...{ memorySize: Number(memorySize), isCode: flags!.includes("E") },
    }),
  );

/** The tables of a file, as binutils read them, without where they lie in it and which numbers its sections have. */
function readTables(file: string): string[] {
  const text = ["--dyn-syms", "-d", "-r", "-V"].map((option) => runTool("readelf", "-W", option, file)).join("");
  const lines = text.split("\n").filter((line) => !/^(Dynamic section at|Relocation section| Addr:|.* at offset )/.test(line)); // prettier-ignore
  // The loader puts a table of its own there.
  const kept = lines.filter((line) => !line.includes("(DEBUG)"));
  return kept.map((line) => line.replace(/(DEFAULT|PROTECTED|HIDDEN|INTERNAL) +\d+ /, "$1 N "));
}

test("a program and its libraries are files again at its end: their code and tables are those of the originals, and imports lead where nm says", async () => {
  await withDumps("talker", "exit module=*", (dumps, folder, truth) => {
    const ofProcess = dumps.filter(({ pid }) => String(pid) === truth.get("talker.pid"));
    const byName = new Map(ofProcess.map((dump) => [basename(dump.path), dump]));
    for (const name of ["talker", "libc.so.6"]) assert.ok(byName.has(name), [...byName.keys()].join());
    for (const { path, file, missing, occasion, base } of ofProcess) {
      const original = FILES.get(path);
      if (original === undefined) continue;
      assert.deepEqual([occasion, missing], ["exit", 0], path);
      const [made, before] = [join(folder, file), join(folder, `original-${basename(path)}`)];
      writeFileSync(before, original);
      const [dumped, loads] = [readFileSync(made), listLoads(before)];
      assert.deepEqual(listLoads(made).map(({ address, memorySize, isCode }) => [address, memorySize, isCode]), loads.map(({ address, memorySize, isCode }) => [address, memorySize, isCode])); // prettier-ignore
      for (const { offset, address, fileSize, isCode } of loads) {
        if (!isCode) continue;
        const code = dumped.subarray(address - (loads[0]!.address & ~0xfff), address - (loads[0]!.address & ~0xfff) + fileSize); // prettier-ignore
        assert.equal(Buffer.compare(code, original.subarray(offset, offset + fileSize)), 0, `${path} at ${base}`);
      }
      const [own, wanted] = [readTables(made), readTables(before)];
      assert.deepEqual(own.filter((line, index) => line !== wanted[index]).slice(0, 5), [], path);
      assert.equal(own.length, wanted.length, path);
      const again = [...runTool("readelf", "-rW", made).matchAll(/^(\w+) +\w+ R_X86_64_RELATIVE +(\w+)$/gm)];
      for (const [, slot, addend] of again) {
        const at = parseInt(slot!, 16) - (loads[0]!.address & ~0xfff);
        assert.equal(dumped.readBigUInt64LE(at), BigInt(`0x${addend}`), `${path} ${slot}`);
      }
      const { address } = loads.find(({ isCode }) => isCode)!;
      const range = [`--start-address=${address}`, `--stop-address=${address + 256}`] as const;
      assert.match(runTool("objdump", "-d", ...range, made), /Disassembly of section \.text/);
    }
    const library = byName.get("libc.so.6")!;
    const functions = new Map([...runTool("nm", "-D", join(folder, library.file)).matchAll(/^(\w+) T (\w+)@@/gm)].map(([, value, name]) => [name!, BigInt(`0x${value}`)])); // prettier-ignore
    const imports = byName.get("talker")!.imports!.filter(({ name }) => functions.has(name));
    const bound = imports.filter(({ to }) => BigInt(to) - BigInt(library.base) === functions.get(imports.find((one) => one.to === to)!.name)); // prettier-ignore
    assert.ok(imports.length > 10, JSON.stringify(imports));
    assert.equal(bound.length, imports.length, JSON.stringify(imports.filter((one) => !bound.includes(one))));
  });
});

test("code that was written is kept when it is executed first, where the program says that it is", async () => {
  await withDumps("overflow", "written", (dumps, folder, truth) => {
    const found = dumps.find(({ entry }) => entry === truth.get("overflow.code"));
    assert.ok(found, JSON.stringify(dumps));
    assert.equal(found.permissions, "rwxp");
    assert.match(found.writer!, /^overflow!main\+/);
    // mov $finish, %rax; jmp *%rax.
    const code = readFileSync(join(folder, found.file)).subarray(Number(BigInt(found.entry!) - BigInt(found.base)));
    assert.equal(code.toString("hex", 0, 2), "48b8");
    assert.equal(code.toString("hex", 10, 12), "ffe0");
  });
});

test("a function's call is an occasion", async () => {
  await withDumps("talker", "call=libc.so.6!qsort", (dumps, _folder, truth) => {
    const own = dumps.filter(({ pid }) => String(pid) === truth.get("talker.pid"));
    assert.deepEqual([...new Set(own.map(({ occasion, path }) => [occasion, path].join()))], ["call libc.so.6!qsort,/bin/talker"]); // prettier-ignore
  });
});
