import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { test } from "node:test";
import { ProcessHistory } from "../../src/lab/analysis/report/process-tree";
import { analyze, recordOf } from "../kit/lab/analyze-run";
import { withTestLab } from "../kit/lab/lab-run";
import { quickLab } from "../kit/lab/quick-machinery";

test("a machine that cannot be looked into is not started again, and the analysis says so", async () => {
  await withTestLab(quickLab("q"), async (lab) => {
    mkdirSync(lab.path("state/q"), { recursive: true });
    const { status } = await analyze(lab, "--machine", "q", "--command", "true", "--reboot", "1");
    const { outcome, reason, hasRun } = recordOf(lab);
    assert.deepEqual([status, outcome, hasRun], [1, "failed", true]);
    assert.match(reason!, /cannot be started again: only a machine that can be looked into/);
  });
});

test("no process outlives a restart, and a pid that comes again is another process", () => {
  const history = new ProcessHistory();
  const at = (second: number) => `2026-01-02T03:04:0${second}.000Z`;
  const event = (second: number, type: string, facts: object = {}) => history.add({ time: at(second), type, sequence: second, ...facts }); // prettier-ignore
  event(1, "process.created", { pid: 700, ppid: 1, name: "sample", origin: "target" });
  event(2, "machine.restarted");
  event(3, "process.created", { pid: 700, ppid: 1, name: "getty" });
  event(4, "process.adopted", { pid: 700, name: "getty", act: "executes /x, which it wrote" });
  assert.deepEqual(history.nodes.map(({ name, ended, origin }) => [name, ended, origin]), [["sample", at(2), "target"], ["getty", undefined, "adopted"]]); // prettier-ignore
});
