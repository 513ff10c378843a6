import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { DumpFacts } from "../../scripts/_module_dumper";
import { analyze, consoleMachine, recordOf, yamlOf } from "../kit/lab/analyze-run";
import { withTestLab } from "../kit/lab/lab-run";
import { giveReady } from "../kit/lab/ready-lab";
import { PROJECT } from "../kit/project";

/** Debian's packer UPX, which set-up fetches with the libraries that it is linked with. */
const PACKER = join(PROJECT, "build/packer");
const NEEDS_PACKER = existsSync(join(PACKER, "upx-ucl"))
  ? false
  : "build/packer is missing: set-up has not fetched UPX";

const PLAIN = '#include <stdio.h>\nint main(void) { puts("unpacked"); return 5; }\n';

test(
  "a program that UPX has packed is a file again when it ends, with the code and the entry of before",
  { skip: NEEDS_PACKER },
  async () => {
    const machine = consoleMachine();
    const files = {
      "conf/machineries/rebox.yaml": yamlOf({ g: machine }),
      "conf/auxiliary.conf": "[dumps]\nenabled = yes\n",
      "plain.c": PLAIN,
    };
    await withTestLab(files, async (lab) => {
      await giveReady(lab, { name: "g", settings: machine });
      const [plain, packed] = [lab.path("plain"), lab.path("packed")];
      execFileSync("gcc", ["-O1", "-static", "-o", plain, lab.path("plain.c")]);
      const libraries = ["--library-path", PACKER, join(PACKER, "upx-ucl")];
      execFileSync(join(PACKER, "ld-linux-x86-64.so.2"), [...libraries, "-q", "-o", packed, plain]);
      const { status, stdout } = await analyze(lab, "--machine", "g", "--target", packed, "--timeout", "100");
      assert.equal(status, 0, stdout);
      const { reason, auxiliary } = recordOf(lab);
      assert.equal(reason, "the target ended with status 5", stdout);
      assert.deepEqual(auxiliary.find(({ name }) => name === "dumps")!.errors, []);
      const dumps = lab.read("analyses/1/dumps/dumps.jsonl").trim().split("\n").map((line) => JSON.parse(line) as DumpFacts); // prettier-ignore
      const unpacked = dumps.find(({ path, process }) => path === "" && process === "packed");
      assert.ok(unpacked, JSON.stringify(dumps));
      const made = lab.path(`analyses/1/dumps/${unpacked.file}`);
      const run = (...words: readonly [string, ...string[]]) =>
        execFileSync(words[0], words.slice(1), { encoding: "utf8" });
      const entryOf = (file: string) => /Entry point address: +(\w+)/.exec(run("readelf", "-hW", file))![1];
      assert.equal(entryOf(made), entryOf(plain));
      assert.notEqual(entryOf(packed), entryOf(plain));
      // Its section is found in the dump by address alone, as tools do.
      const [, address, offset, size] = /\.text +PROGBITS +(\w+) (\w+) (\w+)/.exec(run("readelf", "-SW", plain))!.map((word) => parseInt(word, 16)) as [number, number, number, number]; // prettier-ignore
      const start = BigInt(unpacked.base);
      const code = readFileSync(made).subarray(Number(BigInt(address) - start), Number(BigInt(address + size) - start));
      assert.equal(Buffer.compare(code, readFileSync(plain).subarray(offset, offset + size)), 0);
      const range = [`--start-address=${address}`, `--stop-address=${address + 512}`, "--no-addresses"] as const;
      const listingOf = (file: string) => run("objdump", "-d", "--no-show-raw-insn", ...range, file).split("\n").filter((line) => /^\t/.test(line)).map((line) => line.replace(/<.*|\s+$/g, "").trim()); // prettier-ignore
      assert.deepEqual(listingOf(made).slice(0, 50), listingOf(plain).slice(0, 50));
      assert.match(lab.read("analyses/1/events.jsonl"), /"type":"memory\.module_dumped"/);
    });
  },
);
