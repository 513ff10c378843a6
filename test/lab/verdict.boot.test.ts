import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { analyze, recordOf } from "../kit/lab/analyze-run";
import { withReadyMachine } from "../kit/lab/ready-lab";

/** The script and the signatures that it is to fire. */
const HOSTILE = [
  ...["#!/bin/sh", "mkdir -p /etc/cron.d /dev/shm/.x", "echo '* * * * * root /dev/shm/.x/run' > /etc/cron.d/run"],
  ...["cp /bin/busybox /dev/shm/.x/uname", "chmod 4755 /dev/shm/.x/uname", "/dev/shm/.x/uname -r"],
  ...["mv /bin/busybox /bin/box", "/bin/box uname -r", "/bin/box mv /bin/box /bin/busybox"],
  ...["touch -d '2001-02-03 04:05' /etc/cron.d/run", 'rm -- "$0"', ""],
].join("\n");
const FIRED = ["cron-job", "dropped-program", "hidden-program", "program-from-temporary", "removes-itself", "setuid-file", "timestomp"]; // prettier-ignore
const HARMLESS =
  "#!/bin/sh\nmkdir -p /tmp/own\necho hello > /tmp/own/a\nwc -c /tmp/own/a\nmv /tmp/own/a /tmp/own/b\nrm /tmp/own/b\n";

const RULE = `
title: A job is written by a shell
id: 5b0e0f5c-0000-4000-8000-000000000001
level: high
tags: [attack.t1053.003]
logsource: { product: linux, category: file_event }
detection:
  job: { TargetFilename|startswith: /etc/cron.d/, Image|endswith: [/sh, /busybox] }
  condition: job
`;

/** Lists for each program that a target executed whether it was another than before, each time. */
function listChanged(events: string): ReadonlyMap<string, readonly boolean[]> {
  const changed = new Map<string, boolean[]>();
  for (const line of events.trim().split("\n")) {
    const { type, origin, executable, isChanged } = JSON.parse(line) as Readonly<Record<string, string | boolean>>;
    if (type !== "process.executed" || origin !== "target") continue;
    changed.set(String(executable), [...(changed.get(String(executable)) ?? []), isChanged === true]);
  }
  return changed;
}

test("a hostile script fires its signatures and a Sigma rule, and a harmless one none that counts", async () => {
  await withReadyMachine(
    {
      "conf/auxiliary.conf": "[processes]\nenabled = yes\n[syscalls]\nenabled = yes\n",
      "rules/sigma/job.yml": RULE,
      "rules/sigma/other.yml": RULE.replace("linux", "windows"),
    },
    async (lab) => {
      // prettier-ignore
      const reports = [];
      for (const [id, source] of [HOSTILE, HARMLESS].entries()) {
        const target = lab.write(`sample-${id}.sh`, source);
        const { status, stdout } = await analyze(lab, "--machine", "g", "--target", target);
        assert.equal(status, 0, stdout);
        assert.match(recordOf(lab, id + 1).reason!, /^the target ended with status 0$/);
        reports.push(JSON.parse(lab.read(`analyses/${id + 1}/report.json`)) as AnalysisReport);
      }
      const [changes, none] = [1, 2].map((id) => listChanged(lab.read(`analyses/${id}/events.jsonl`)));
      // What it has written, and what it has renamed; its shell is the system's.
      assert.deepEqual([changes!.get("/dev/shm/.x/uname"), changes!.get("/bin/box")], [[true], [true, true]]);
      assert.equal(changes!.get("/bin/busybox")![0], false);
      assert.ok(
        [...none!.values()].flat().every((isChanged) => !isChanged),
        JSON.stringify([...none!]),
      );
      const [hostile, harmless] = reports.map(({ verdict }) => verdict!);
      const names = hostile!.findings.map(({ name }) => name);
      assert.deepEqual(FIRED.filter((name) => !names.includes(name)), [], names.join(" ")); // prettier-ignore
      assert.ok(names.includes("5b0e0f5c-0000-4000-8000-000000000001"));
      assert.equal(hostile!.judgement, "malicious");
      assert.deepEqual([hostile!.asked.rules, hostile!.unusable], [1, { "it is for windows": 1 }]);
      assert.ok(harmless!.score <= 2, JSON.stringify(harmless!.findings));
      const layer = JSON.parse(lab.read("analyses/1/navigator.json")) as { techniques: { techniqueID: string }[] };
      assert.ok(layer.techniques.some(({ techniqueID }) => techniqueID === "T1053.003"));
    },
  );
});
