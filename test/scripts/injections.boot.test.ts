import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { withGuest } from "../kit/lab/guest-machine";
import { runShippedScript } from "../kit/scripts/shipped-run";

const listActs = (output: string): string[] =>
  [...output.matchAll(/^rebox-act: \d+ (.*?)\r?$/gm)].map(([, act]) => act!.replaceAll("(nil)", "0"));

test("each way in which a program changes another is reported as the program says it, and what it wrote is kept", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-injections-"));
  try {
    const results = join(folder, "results");
    const run = await runShippedScript("injections", `injections_to ${join(results, "in")} process=injector`, {
      ...{ task: "injector", folder, timeoutMs: 180_000 },
    });
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
    assert.match(run.answers[0]!, /^watching what process=injector; what they write is kept in /);
    // The child has gone on where it was sent, with all that was written.
    assert.equal(run.truth.get("injector.status"), "42", run.console);
    const [pid, child] = [run.truth.get("injector.pid"), run.truth.get("injector.child")];
    const acts = listActs(run.console);
    assert.equal(acts.length, 6);
    const [shared, , words, vector, file, registers] = acts as [string, string, string, string, string, string];
    const [at] = /0x[0-9a-f]+/.exec(shared)!;
    const [ip, sp] = registers.match(/0x[0-9a-f]+/g) as [string, string];
    const lineOf = (act: string, number: number) => {
      const [, size, place, way, text] = /^writes (\d+) bytes at (\S+) by ([^:]+): (".*")$/.exec(act)!;
      return `${pid} injector writes ${size} bytes into ${child} injector at ${place} by ${way}: ${text}, 000${number}.bin`;
    };
    assert.deepEqual(run.printed, [
      `${child} injector maps memory that ${pid} injector has, r-xs at ${at}: /memfd:section (deleted), 4096 bytes, 0001.bin`,
      `${pid} injector attaches to ${child} injector by ptrace`,
      lineOf(words, 3),
      lineOf(vector, 4),
      lineOf(file, 5),
      `${pid} injector sets registers of ${child} injector by ptrace: it goes on at ${ip}, its stack at ${sp}, 0006.bin`,
    ]);
    const kept = (number: number) => readFileSync(join(results, "in", `000${number}.bin`), "latin1");
    assert.equal(kept(1).replace(/\0+$/, ""), "shared words");
    assert.equal(kept(3) + kept(4) + kept(5), "by words, by a vector, by a file\0");
    const lines = readFileSync(join(results, "in/injections.jsonl"), "utf8").trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { readonly kind: string }).kind),
      ["shared", "attached", "written", "written", "written", "registers"],
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("in an analysis the acts are events, and each content is kept once by its hash", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const analysis = await startModules(lab, ["[injections]", "enabled = yes", "processes = all"], guest);
    const output = await execute("injector; injector");
    await stopModules(analysis);
    assert.deepEqual([analysis.log, analysis.status("injections").errors], [[], []]);
    const pids = [...output.matchAll(/injector\.pid=(\d+)/g)].map(([, pid]) => Number(pid));
    const written = analysis.eventsOf("injection.written").filter(({ pid }) => pids.includes(pid as number));
    assert.deepEqual(
      written.map(({ way, text }) => [way, text]),
      pids.flatMap(() => [
        ["ptrace", "by words, by a v"],
        ["process_vm_writev", "ector, b"],
        ["/proc/PID/mem", "y a file\\x00"],
      ]),
    );
    const hash = createHash("sha256").update("by words, by a v").digest("hex");
    assert.equal(written[0]!.sha256, hash);
    assert.equal(readFileSync(analysis.path(`injections/${hash}`), "latin1"), "by words, by a v");
    for (const kind of ["attached", "registers", "shared"]) {
      assert.equal(analysis.eventsOf(`injection.${kind}`).filter(({ pid }) => pids.includes(pid as number)).length, 2, kind); // prettier-ignore
    }
  });
});
