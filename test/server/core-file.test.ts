import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { readCoreFile } from "../../src/server/results/core-file";
import { lookIntoMemory, type MemoryLook } from "../../src/server/results/look-memory";
import { inFolder } from "../kit/in-folder";

const GDB = "/usr/bin/gdb";
const PROGRAM = "/usr/bin/env";
/** In bytes, that gdb shows. */
const SHOWN = 64;

/** Has gdb write the core of a program that has just begun, and say what is in it. */
function makeCore(core: string): string {
  const commands = ["set disable-randomization on", "starti", `generate-core-file ${core}`, "kill"];
  execFileSync(GDB, ["-nx", "-batch", ...commands.flatMap((each) => ["-ex", each]), PROGRAM], { stdio: "ignore" });
  const questions = ["info registers rip rsp", `x/${SHOWN}xb $rsp`, `x/${SHOWN}xb $rip`, "info threads"];
  return execFileSync(GDB, ["-nx", "-batch", ...questions.flatMap((each) => ["-ex", each]), PROGRAM, core], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }); // prettier-ignore
}

/** Reads the bytes that gdb has shown, in the order of its commands. */
function listShown(said: string): Buffer[] {
  const lines = said.split("\n").filter((line) => /^0x[0-9a-f]+.*:\s+0x/.test(line));
  const bytes = Buffer.from(lines.flatMap((line) => line.slice(line.indexOf(":") + 1).trim().split(/\s+/).map(Number))); // prettier-ignore
  return [bytes.subarray(0, SHOWN), bytes.subarray(SHOWN)];
}

describe("the core of a process", { skip: existsSync(GDB) ? false : "there is no gdb" }, () => {
  test("that another program has written has the threads, registers, mappings and memory that gdb says", async () => {
    await inFolder(async (folder) => {
      const core = join(folder, "a.core");
      const said = makeCore(core);
      const { threads, mappings, segments } = readCoreFile(core)!;
      const [rip, rsp] = ["rip", "rsp"].map((name) => BigInt(new RegExp(`^${name}\\s+(0x[0-9a-f]+)`, "m").exec(said)![1]!)) as [bigint, bigint]; // prettier-ignore
      assert.equal(threads.length, 1);
      assert.deepEqual([threads[0]!.registers.rip, threads[0]!.registers.rsp], [rip, rsp]);
      const [stack, code] = listShown(said) as [Buffer, Buffer];
      assert.deepEqual(Buffer.from(lookIntoMemory(core, rsp)!.bytes.subarray(0, SHOWN)), stack);
      const look = lookIntoMemory(core, undefined)!;
      assert.deepEqual([look.address, Buffer.from(look.bytes.subarray(0, SHOWN))], [rip, code]);
      assert.match(look.mapping!.path, /ld-linux/);
      assert.match(look.mapping!.permissions, /r-x/);
      assert.ok(mappings.some(({ path }) => path.endsWith("/env")), mappings.map(({ path }) => path).join(" ")); // prettier-ignore
      // Pages behind each other are walked through from the first to the last, each address once.
      const wanted = segments.reduce((sum, { size }) => sum + size, 0);
      let seen = 0;
      let last = -1n;
      for (let at: bigint | undefined = 0n; at !== undefined;) {
        const { address, bytes, next }: MemoryLook = lookIntoMemory(core, at)!;
        assert.ok(address > last && bytes.length > 0);
        [seen, last, at] = [seen + bytes.length, address + BigInt(bytes.length) - 1n, next];
      }
      assert.equal(seen, wanted);
      assert.equal(lookIntoMemory(core, last + 1n), undefined);
    });
  });

  test("that is damaged, or none, is nothing, or has less, and never an error", async () => {
    await inFolder(async (folder) => {
      const core = join(folder, "a.core");
      makeCore(core);
      const { length } = readFileSync(core);
      const cut = join(folder, "b.core");
      for (const size of [0, 10, 63, 64, 200, 1_000, 5_000, Math.floor(length / 2), length - 1]) {
        copyFileSync(core, cut);
        truncateSync(cut, size);
        readCoreFile(cut);
        lookIntoMemory(cut, 0x7fff00000000n);
      }
      const bytes = readFileSync(core);
      // Each byte of the head and of the first entries.
      for (let at = 0; at < 64 + 3 * 56; at++) {
        const wrong = Buffer.from(bytes.subarray(0, 60_000));
        wrong[at]! ^= 0xff;
        writeFileSync(cut, wrong);
        readCoreFile(cut);
        lookIntoMemory(cut, undefined);
      }
      writeFileSync(cut, "#!/bin/sh\n");
      assert.deepEqual([readCoreFile(cut), lookIntoMemory(cut, undefined)], [undefined, undefined]);
    });
  });
});
