import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";
import { expectEvents, readActs } from "../kit/systems/process-events-run";
import { createSnapshotDisk } from "../kit/guests/snapshot-run";

test("after loadVm() the events are those of the processes that there were then", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-event-snapshots-"));
  try {
    const copy = join(folder, "serial");
    const run = await runGuest({
      task: "forkstorm",
      parameters: { seed: 3, acts: 150 },
      timeoutMs: 120_000,
      qemuArgs: createSnapshotDisk(folder),
      script: (serial) => `
        import { CallbackManager, getRunningProcess, loadVm, saveVm, writeVa } from "rebox";
        import { copyFileSync } from "node:fs";
        ${scriptPrelude(serial)}
        let cm: CallbackManager, print: (text: string) => void;
        let seen: string[] = [], loads = 0, goes = 0;
        export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
          cm = new CallbackManager(handle);
          print = printer;
          const note = (text: string) => {
            // In the middle of the storm, with other processes than at its beginning.
            if (seen.push(text) === 60 && goes === 1 && loads++ === 0) void loadVm("before").then(go);
          };
          cm.addCallback("CREATEPROC_CB", (pid, pgd, name) => note("+" + pid + " " + name));
          cm.addCallback("REMOVEPROC_CB", (pid, pgd, name) => note("-" + pid + " " + name));
          void untilTruth("forkstorm.waits").then(() => saveVm("before")).then(go);
        }
        function go(): void {
          const truth = readTruth();
          const poll = cm.addCallback("INSN_BEGIN_CB", (cpuIndex) => {
            seen = [];
            goes++;
            writeVa(getRunningProcess(cpuIndex), BigInt(truth.get("forkstorm.go")!), Buffer.from([1, 0, 0, 0]));
            cm.rmCallback(poll);
          }, { addr: BigInt(truth.get("forkstorm.poll")!) });
        }
        export function clean(): void {
          copyFileSync(serialFile, ${JSON.stringify(copy)});
          print(String(loads));
          print(seen.join("|"));
          cm.clean();
        }
      `,
    });
    assert.equal(run.stderr, "");
    assert.equal(run.messages[0], "1");
    const acts = readActs(readFileSync(copy, "latin1"));
    const pids = new Set(acts.flatMap(({ values }) => [values.get("pid")!, values.get("child")!]));
    pids.delete(run.truth.get("forkstorm.pid")!);
    const own = run.messages[1]!.split("|").filter((text) => pids.has(/^.(\d+)/.exec(text)![1]!));
    assert.deepEqual(own, expectEvents(acts));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
