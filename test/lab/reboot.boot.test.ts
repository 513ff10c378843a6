import assert from "node:assert/strict";
import { test } from "node:test";
import { readEvents } from "../../src/lab/analysis/event-log";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { runRebox } from "../kit/guests/guest-run";
import { NEEDS_DEBIAN, withDebian } from "../kit/lab/ready-debian";

/** A whole boot more than other analyses have, also on a busy host, in milliseconds. */
const LIMIT_MS = 600_000;

/** Leaves a unit and a table of jobs, and something in memory that is gone after a reboot. */
const LEAVES = `#!/bin/sh
set -e
printf '#!/bin/sh\\necho x > /tmp/by-unit\\nexec sleep 1000\\n' > /usr/local/bin/persisted
chmod 755 /usr/local/bin/persisted
printf '[Service]\\nExecStart=/usr/local/bin/persisted\\n' > /etc/systemd/system/persisted.service
ln -s ../persisted.service /etc/systemd/system/multi-user.target.wants/
printf '@reboot root echo x > /tmp/by-cron\\n' > /etc/cron.d/persisted
printf '#!/bin/sh\\necho x > /tmp/by-memory\\n' > /dev/shm/gone
chmod 755 /dev/shm/gone
`;

test(
  "what a target leaves is started again with the guest, adopted, and in the report behind the restart; nothing else is",
  { skip: NEEDS_DEBIAN },
  async () => {
    await withDebian([], async (lab) => {
      const modules = ["processes", "syscalls", "artefacts"];
      lab.write("conf/auxiliary.conf", modules.map((name) => `[${name}]\nenabled = yes\n`).join(""));
      const target = lab.write("leaves.sh", LEAVES);
      const words = ["--machine", "office", "--target", target, "--reboot", "20"];
      const { status, stdout } = await runRebox(["analyze", "--lab", lab.folder, ...words], LIMIT_MS);
      assert.equal(status, 0, stdout);
      const { analysis, files, processes, verdict } = JSON.parse(lab.read("analyses/1/report.json")) as AnalysisReport;
      assert.equal(
        analysis.reason,
        "the target ended with status 0; the guest was started again and watched for 20 s",
        lab.read("state/office/console.log").slice(-2000),
      );
      assert.deepEqual(analysis.phases.map(({ phase }) => phase).filter((phase) => /reboot/.test(phase)), ["rebooting", "running after the reboot"]); // prettier-ignore
      const events = [...readEvents(lab.path("analyses/1"))];
      const restart = events.find(({ type }) => type === "machine.restarted")!;
      const after = files.filter(({ time, type }) => time > restart.time && type === "file.written");
      const own = after.filter(({ origin }) => origin === "adopted").map(({ path }) => String(path));
      assert.deepEqual([...new Set(own)].filter((path) => /\/by-/.test(path)).toSorted(), ["/tmp/by-cron", "/tmp/by-unit"], JSON.stringify([after, processes.flatMap(({ adoptedBy }) => adoptedBy ?? [])])); // prettier-ignore
      const adopted = processes.filter(({ origin, began }) => origin === "adopted" && began > restart.time);
      const acts = adopted.flatMap(({ adoptedBy }) => adoptedBy ?? []);
      assert.ok(
        acts.some((act) => /\/usr\/local\/bin\/persisted|persisted\.service/.test(act)),
        JSON.stringify(acts),
      );
      assert.ok(
        acts.some((act) => /\/etc\/cron\.d\/persisted/.test(act)),
        JSON.stringify(acts),
      );
      assert.deepEqual(acts.filter((act) => !/persisted/.test(act)), []); // prettier-ignore
      // Nothing of before lives on.
      assert.deepEqual(processes.filter(({ began, ended }) => began < restart.time && (ended === undefined || ended > restart.time)), []); // prettier-ignore
      const fired = verdict!.findings.map(({ name }) => name);
      assert.ok(
        ["systemd-unit", "cron-job"].every((name) => fired.includes(name)),
        fired.join(" "),
      );
    });
  },
);
