import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { readEvents } from "../../src/lab/analysis/event-log";
import { RecordingFolder } from "../kit/guests/recording-run";
import { analyze, consoleMachine, recordOf, SAMPLE, yamlOf } from "../kit/lab/analyze-run";
import { withTestLab } from "../kit/lab/lab-run";

test("an analysis keeps a recording, whose replay goes to where an event happened; a machine that cannot be recorded is refused by name", async () => {
  const machines = {
    g: consoleMachine(["network: user", "network_card: virtio-net-pci"]),
    many: consoleMachine(["cpus: 2"]),
  };
  const files = {
    "conf/machineries/rebox.yaml": yamlOf(machines),
    "conf/auxiliary.conf": "[processes]\nenabled = yes\n[syscalls]\nenabled = yes\n",
  };
  await withTestLab(files, async (lab) => {
    const options = ["--machine", "g", "--target", SAMPLE, "--command", "./sample 10.0.2.2 1", "--record"];
    const { status, stdout } = await analyze(lab, ...options);
    assert.equal(status, 0, stdout);
    assert.equal(recordOf(lab).options["record"], "yes");
    const events = [...readEvents(lab.path("analyses/1"))];
    const executed = events.find(({ type, name }) => type === "process.executed" && name === "sample");
    const count = executed?.instructions ?? assert.fail(`no count: ${JSON.stringify(events.slice(-20))}`);
    const counts = events.flatMap(({ instructions }) => instructions ?? []);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
      "counts are in the order of the events",
    );
    const page = lab.read("analyses/1/report.html");
    assert.match(page, /rebox replay analyses\/1 --at COUNT/);
    // Further rows are files beside it.
    const more = (existsSync(lab.path("analyses/1/report")) ? readdirSync(lab.path("analyses/1/report")) : []).map(
      (name) => lab.read(`analyses/1/report/${name}`),
    );
    assert.ok(
      [page, ...more].some((text) => text.includes(`--at ${count}<`)),
      "the event has its count",
    );

    using folder = new RecordingFolder();
    const answers = await folder.ask(lab.path("analyses/1"), [`goto ${count}`, "ps", "goto end", "ps"]);
    assert.match(answers[0]!, new RegExp(`^instruction ${count} of`));
    assert.match(answers[1]!, /\bsample\b/);
    assert.doesNotMatch(answers[3]!, /\bsample\b/);

    const again = await analyze(lab, "--machine", "g", "--command", "true", "--record", "--reboot", "1");
    assert.match(again.stdout, /no recording can be kept of a run in which the guest is started again/);
    const refused = await analyze(lab, "--machine", "many", "--command", "true", "--record");
    assert.equal(refused.status, 1);
    assert.match(refused.stdout, /no run of many can be recorded: it has 2 processors/);
    assert.ok(!existsSync(lab.path("analyses/3/recording")));
    const golden = await analyze(lab, "--golden", "ready", "--command", "true", "--record");
    assert.match(golden.stdout, /no recording can be kept of a run that starts from a golden state/);
  });
});
