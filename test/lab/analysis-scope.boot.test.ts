import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { defaultKit } from "../kit/guests/guest-kits";
import { analyze, consoleMachine, findLeft, recordOf, SAMPLE, yamlOf } from "../kit/lab/analyze-run";
import { type TestLab, withTestLab } from "../kit/lab/lab-run";
import { withReadyMachine } from "../kit/lab/ready-lab";

/** The target that tries to get out of sight: native/guest/targets/escape.c. */
const ESCAPE = join(defaultKit().kernel, "../targets/escape");

const MODULES = { "conf/auxiliary.conf": "[processes]\nenabled = yes\n[syscalls]\nenabled = yes\n" };

/** A machine that boots, which takes seconds and starts many processes. */
const BOOTING = { "conf/machineries/rebox.yaml": yamlOf({ g: consoleMachine() }) };

function readReport(lab: TestLab, id = 1): AnalysisReport {
  return JSON.parse(lab.read(`analyses/${id}/report.json`)) as AnalysisReport;
}

/** Runs the target in one of its ways, and returns its report and the guest's own words. */
async function escape(lab: TestLab, way: string, ...options: readonly string[]) {
  const { status, stdout } = await analyze(lab, "--target", ESCAPE, "--command", `exec $TARGET ${way}`, ...options);
  assert.equal(status, 0, stdout);
  const console = lab.read("state/g/console.log");
  const tell = (key: string) => Number(new RegExp(`escape\\.${key}=(\\d+)`).exec(console)?.[1]);
  const report = readReport(lab);
  return {
    tell,
    report,
    reason: recordOf(lab).reason,
    own: report.processes.filter(({ origin }) => origin === "target"),
  };
}

const ownFiles = ({ files }: AnalysisReport) =>
  files.filter(({ origin }) => origin === "target").map(({ type, path }) => [type, path]);

describe("the target's processes are all in the record, and the analysis ends after the last of them", () => {
  test("a chain of 3,000 processes that live only until they have forked", async () => {
    await withReadyMachine(MODULES, async (lab) => {
      const { tell, report, reason, own } = await escape(lab, "chain 3000", "--timeout", "240");
      assert.equal(tell("chain"), 3000);
      assert.equal(own.length, 3000);
      assert.ok(own.every(({ ended }) => ended !== undefined));
      assert.deepEqual(ownFiles(report), [["file.written", "/tmp/escape-chain"]]);
      assert.equal(reason, "the command ended with status 0");
      assert.deepEqual(findLeft(lab), []);
    });
  });

  test("a daemon that has forked twice, left its session and given up its environment", async () => {
    await withReadyMachine(MODULES, async (lab) => {
      const { tell, report, own } = await escape(lab, "daemon 3");
      assert.equal(own.length, 3);
      assert.equal(own.at(-1)!.pid, tell("daemon"));
      assert.deepEqual(ownFiles(report), [["file.written", "/tmp/escape-daemon"]]);
    });
  });

  test("a process whose first thread has ended", async () => {
    await withReadyMachine(MODULES, async (lab) => {
      const { tell, report, own, reason } = await escape(lab, "thread 3");
      assert.deepEqual(own.map(({ pid, ended }) => [pid, ended !== undefined]), [[tell("thread"), true]]); // prettier-ignore
      assert.deepEqual(ownFiles(report), [["file.written", "/tmp/escape-thread"]]);
      assert.equal(reason, "the command ended with status 0");
    });
  });

  test("one that ends by a signal is reported so, and its environment does not have rebox's mark", async () => {
    await withReadyMachine(MODULES, async (lab) => {
      assert.equal((await escape(lab, "signal")).reason, "the command ended with signal 6");
      const { status } = await analyze(lab, "--command", "env > /dev/console");
      assert.equal(status, 0);
      assert.doesNotMatch(lab.read("state/g/console.log").split("PWD=").slice(1).join(), /^REBOX/m);
    });
  });
});

describe("the time of an analysis", () => {
  test("counts from the target's first instruction, however long the guest takes until then", async () => {
    await withTestLab({ ...MODULES, ...BOOTING }, async (lab) => {
      const { status, stdout } = await analyze(lab, "--command", "sleep 1000", "--timeout", "2");
      assert.equal(status, 0, stdout);
      const { phases, reason } = recordOf(lab);
      const of = (name: string) => Date.parse(phases.find(({ phase }) => phase === name)!.began);
      assert.equal(reason, "the time of 2 s was over");
      const ranMs = of("stopping helpers") - of("running");
      assert.ok(ranMs >= 2000, `${ranMs} ms`);
      const events = lab.read("analyses/1/events.jsonl").trim().split("\n").map((line) => JSON.parse(line) as { type: string; pid?: number }); // prettier-ignore
      const { pid } = events.find(({ type }) => type === "target.started")!;
      assert.deepEqual(
        readReport(lab)
          .processes.filter((process) => process.pid === pid)
          .map(({ origin }) => origin),
        ["target"],
      );
    });
  });
});

/** Writes a program that does nothing, for another machine or with an interpreter that nobody has; see elf(5). */
function makeElf(machine: number, interpreter?: string): Buffer {
  const words = interpreter === undefined ? Buffer.alloc(0) : Buffer.from(`${interpreter}\0`);
  const elf = Buffer.alloc(0xb0 + words.length);
  elf.write("\x7fELF\x02\x01\x01", "latin1");
  elf.writeUInt16LE(2, 16);
  elf.writeUInt16LE(machine, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(0x400078n, 24);
  elf.writeBigUInt64LE(64n, 32);
  for (const [at, value] of [[52, 64], [54, 56], [56, 2]] as const) elf.writeUInt16LE(value, at); // prettier-ignore
  const header = (at: number, type: number, offset: bigint, size: bigint) => {
    elf.writeUInt32LE(type, at);
    elf.writeUInt32LE(5, at + 4);
    for (const [index, value] of [offset, 0x400000n + offset, 0n, size, size, 0x1000n].entries())
      elf.writeBigUInt64LE(value, at + 8 + index * 8);
  };
  header(64, 1, 0n, BigInt(elf.length));
  header(120, interpreter === undefined ? 4 : 3, 0xb0n, BigInt(words.length));
  words.copy(elf, 0xb0);
  return elf;
}

describe("a target that the guest cannot execute has failed, with the reason", () => {
  const refused: readonly (readonly [string, string | Buffer, string])[] = [
    ["of another architecture", makeElf(183), "its format is none that the guest executes (ENOEXEC); it is an ELF file for aarch64"], // prettier-ignore
    ["whose interpreter is missing", makeElf(62, "/lib/ld-nowhere.so.1"), "the guest lacks /lib/ld-nowhere.so.1 (ENOENT); it is an ELF file for x86_64"], // prettier-ignore
    ["that is no program", Buffer.from("\x00\x01\xfe\xff nothing", "latin1"), "its format is none that the guest executes (ENOEXEC); it is neither an ELF file nor a script"], // prettier-ignore
    ["whose script's interpreter is missing", "#!/usr/bin/nowhere -x\necho ran\n", "the guest lacks /usr/bin/nowhere (ENOENT); it is a script of /usr/bin/nowhere"], // prettier-ignore
    ["that may not be executed", "#!/tmp\n", "the guest does not permit it (EACCES); it is a script of /tmp, and needs /tmp"], // prettier-ignore
  ];
  test("as far as the kernel says it", async () => {
    await withReadyMachine(MODULES, async (lab) => {
      for (const [index, [what, bytes, reason]] of refused.entries()) {
        writeFileSync(lab.path("target"), bytes);
        const { status } = await analyze(lab, "--target", lab.path("target"));
        const record = recordOf(lab, index + 1);
        assert.deepEqual(
          [record.outcome, record.reason, status],
          ["failed", `the guest cannot execute the target: ${reason}`, 1],
          what,
        );
        assert.equal((JSON.parse(lab.read(`analyses/${index + 1}/report.json`)) as AnalysisReport).verdict, undefined);
        assert.match(lab.read(`analyses/${index + 1}/report.html`), /No verdict:<\/b> the target did not run/);
      }
    });
  });

  test("and text without a first line for the kernel is for sh, as it is to every shell", async () => {
    await withReadyMachine(MODULES, async (lab) => {
      const { status, stdout } = await analyze(
        lab,
        "--target",
        lab.write("target", "echo it runs > /tmp/it; exit 9\n"),
      );
      assert.deepEqual([status, recordOf(lab).reason], [0, "the target ended with status 9"], stdout);
      assert.deepEqual(ownFiles(readReport(lab)), [["file.written", "/tmp/it"]]);
    });
  });
});

test("what the system does takes no place of what the target does", async () => {
  const files = {
    ...BOOTING,
    "conf/auxiliary.conf": "[processes]\nenabled = yes\nmost = 4\n[syscalls]\nenabled = yes\nmost_acts = 3\n",
  };
  await withTestLab(files, async (lab) => {
    const { status, stdout } = await analyze(lab, "--target", SAMPLE, "--command", "./sample 127.0.0.1 1");
    assert.equal(status, 0, stdout);
    const report = readReport(lab);
    const own = report.processes.filter(({ origin }) => origin === "target");
    assert.deepEqual(own.map(({ name }) => name).sort(), ["sample", "sleep"]);
    assert.equal(ownFiles(report).length, 3);
    // The guest's start alone comes to more than the limits.
    const { processes, leftOut } = JSON.parse(lab.read("analyses/1/processes.json")) as { processes: { origin?: string }[]; leftOut: number }; // prettier-ignore
    assert.equal(processes.filter(({ origin }) => origin === undefined).length, 4);
    assert.ok(leftOut > 0);
  });
});
