import assert from "node:assert/strict";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { runRebox } from "../kit/guests/guest-run";
import { buildNtKernel } from "../kit/nt/nt-kernel";
import { withNtLab } from "../kit/nt/nt-lab";
import { WITHOUT_WINDOWS_TOOLS } from "../kit/windows/windows-image";

const OPTIONS = { skip: WITHOUT_WINDOWS_TOOLS };
/** The program acts when it runs for the second time, on the process that was there before. */
const SCRIPT = ["start smss.exe", "hold", "start actor.exe", "hold", "exit actor.exe", "exit smss.exe", "hold"];
/** The modules that a new lab enables. */
const USUAL = ["processes", "syscalls", "artefacts", "usage", "netcapture", "console"];
const CONF = USUAL.map((name) => `[${name}]\nenabled = yes\n`).join("");

/** Signatures that what actor.c does must fire. */
const FIRES = [
  "run-key",
  "windows-driver",
  "writes-into-process",
  "remote-thread",
  "foreign-code-memory",
  "writable-code",
];
const QUIET = ["memory-of-others", "kernel-module", "hollowed-process", "ends-others", "scheduled-task"];

for (const layout of ["windows-7-7601", "windows-10-19041"]) {
  test(`a target is analysed in a guest that is shaped like ${layout}`, OPTIONS, async () => {
    const isDone = (truth: readonly { readonly [key: string]: unknown }[]): boolean =>
      truth.some(({ name, code }) => name === "NtDeviceIoControlFile" && code === 0x12007n);
    await withNtLab(layout, SCRIPT, isDone, async ({ lab, requests, env, truth }) => {
      lab.write("conf/auxiliary.conf", CONF);
      const target = lab.path("actor.exe");
      copyFileSync(join(buildNtKernel(layout).folder, "actor.exe"), target);
      const words = ["analyze", "--lab", lab.folder, "--machine", "office", "--target", target, "--timeout", "200"];
      const { status, stdout, stderr } = await runRebox(words, 240_000, undefined, env);
      const seen = () => `${stdout}${stderr}${lab.read("analyses/1/events.jsonl")}`;
      assert.equal(status, 0, seen());
      const { analysis, verdict } = JSON.parse(lab.read("analyses/1/report.json")) as AnalysisReport;
      assert.equal(analysis.reason, "the target ended with status 0", seen());
      assert.deepEqual(requests.length, 1);
      assert.deepEqual((requests[0] as { args: unknown }).args, ["C:\\Windows\\System32\\actor.exe"]);

      const pidOf = (name: string) => Number(truth().find((one) => one.event === "process" && one.name === name)!.pid);
      const [actor, victim] = [pidOf("actor.exe"), pidOf("smss.exe")];
      const events = readFileSync(lab.path("analyses/1/events.jsonl"), "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      const of = (type: string) => events.filter((event) => event["type"] === type);
      assert.equal(of("target.started")[0]?.["pid"], actor);
      assert.deepEqual(
        of("process.executed").filter(({ pid }) => pid === actor).map(({ name, commandLine, executable, origin }) => [name, commandLine, executable, origin]), // prettier-ignore
        [["actor.exe", '"C:\\Windows\\System32\\actor.exe" -x "two words"', "C:\\Windows\\System32\\actor.exe", "target"]], // prettier-ignore
      );
      assert.deepEqual(of("process.adopted").map(({ pid, by, act }) => [pid, by, act]), [[victim, actor, "NtWriteVirtualMemory"]]); // prettier-ignore
      assert.ok(of("process.ended").some(({ pid }) => pid === actor));
      assert.deepEqual(of("registry.set").map(({ pid, name }) => [pid, name]), [[actor, "Updater"], [actor, "Old"]]); // prettier-ignore
      assert.deepEqual(
        of("network.connected").map(({ address, port }) => [address, port]),
        [["192.0.2.7", 8080]],
      );
      // What the kernel was asked for and refused did not happen.
      assert.deepEqual(of("process.terminated"), []);

      const fired = new Set(verdict!.findings.map(({ name }) => name));
      assert.deepEqual(FIRES.filter((name) => !fired.has(name)), [], [...fired].join()); // prettier-ignore
      assert.deepEqual(QUIET.filter((name) => fired.has(name)), []); // prettier-ignore
      assert.deepEqual(verdict!.failures, []);
      assert.equal(verdict!.judgement, "malicious");
      const { auxiliary } = JSON.parse(lab.read("analyses/1/analysis.json")) as { auxiliary: { name: string; state: string; errors: string[]; reason?: string }[] }; // prettier-ignore
      for (const { name, state, errors, reason } of auxiliary.filter(({ name }) => USUAL.includes(name))) {
        assert.deepEqual(errors, [], name);
        if (name === "artefacts") assert.equal(reason, "it is for machines with linux, and office is one with windows");
        else assert.equal(state, "stopped", `${name}: ${reason}`);
      }
    });
  });
}
