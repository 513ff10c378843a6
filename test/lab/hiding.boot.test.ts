import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readEvents } from "../../src/lab/analysis/event-log";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { analyze, consoleMachine, findLeft, recordOf, yamlOf } from "../kit/lab/analyze-run";
import { type TestLab, withTestLab } from "../kit/lab/lab-run";
import { giveReady } from "../kit/lab/ready-lab";
import { PROJECT } from "../kit/project";

const PAGE = "docs/reference/hiding.md";

/** A way by which a target tries to get out of sight, or to end its analysis early. */
interface Way {
  readonly script: string;
  /** The last file that it makes; undefined when it is not to get there. */
  readonly last?: string;
  readonly reason: RegExp;
  /** The processes of the target that the record must have, by the names that they began with. */
  readonly names?: readonly string[];
  readonly options?: readonly string[];
  /** The reason why one of its programs has no hash. */
  readonly unhashed?: RegExp;
}

const ENDED = /^the target ended with status 0$/;

/** By the name in the page's list. */
const WAYS: Readonly<Record<string, Way>> = {
  "another name": {
    script: "printf kworker > /proc/self/comm; sh -c 'printf kworker > /proc/$$/comm; echo x > /tmp/last'",
    last: "/tmp/last",
    reason: ENDED,
    names: ["way-1.sh"],
  },
  "a session of its own, with nothing open": {
    script: "setsid sh -c 'sleep 2; echo x > /tmp/last' < /dev/null > /dev/null 2>&1 &",
    last: "/tmp/last",
    reason: ENDED,
  },
  "the clock": {
    script: "date -s 2001-01-01; sleep 1; echo x > /tmp/last; date -s 2037-01-01",
    last: "/tmp/last",
    reason: ENDED,
  },
  "its own file removed": { script: 'rm "$0"; echo x > /tmp/last', last: "/tmp/last", reason: ENDED },
  namespaces: {
    script: "mkdir /tmp/own; unshare -m -p -f sh -c 'mount -t tmpfs none /tmp/own; echo x > /tmp/own/last'",
    last: "/tmp/own/last",
    reason: ENDED,
  },
  "signals ignored": {
    script: "trap '' TERM INT HUP QUIT; echo x > /tmp/last; while :; do sleep 1; done",
    last: "/tmp/last",
    reason: /^the time of 3 s was over$/,
    options: ["--timeout", "3"],
  },
  "standing still": {
    script: "echo x > /tmp/last; kill -STOP $$",
    last: "/tmp/last",
    reason: /^the time of 3 s was over$/,
    options: ["--timeout", "3"],
  },
  "long sleep before the first act": {
    script: "sleep 1000; echo x > /tmp/last",
    reason: /^the time of 3 s was over$/,
    options: ["--timeout", "3"],
  },
  // The shell that the kit's first process waits for is among them.
  "every process killed": {
    script: "echo x > /tmp/last; kill -9 -1",
    last: "/tmp/last",
    reason: /^the machine went off by itself$/,
  },
  "the console flooded": {
    script:
      "i=0; while [ $i -lt 3000 ]; do echo 'rebox: / # $ done 0' > /dev/console; i=$((i+1)); done; echo x > /tmp/last",
    last: "/tmp/last",
    reason: ENDED,
  },
  "a restart of the machine, past the guest's system (`reboot -f`)": {
    script: "echo x > /tmp/last; reboot -f",
    last: "/tmp/last",
    reason: /^the guest restarted$/,
  },
  // The file has a megabyte and more; its words are those of the system's.
  "its own program changed and executed again and again": {
    script:
      "cp /bin/busybox /tmp/busybox; i=0; while [ $i -lt 400 ]; do echo >> /tmp/busybox; /tmp/busybox true; i=$((i+1)); done; echo x > /tmp/last",
    last: "/tmp/last",
    reason: ENDED,
    unhashed: /^more programs were executed than are hashed: 256 MiB at once, and 4 MiB in each second$/,
  },
  "power off": {
    script: "echo x > /tmp/last; poweroff -f",
    last: "/tmp/last",
    reason: /^the machine went off by itself; the guest was not started again: the machine went off by itself$/,
    options: ["--reboot", "5"],
  },
};

/** Runs a way in a clone, and checks that it is all in the record. */
async function tryWay(lab: TestLab, id: number, name: string): Promise<void> {
  const { script, last, reason, names = [], options = [], unhashed } = WAYS[name]!;
  const target = lab.write(`way-${id}.sh`, `#!/bin/sh\n${script}\n`);
  const { stdout } = await analyze(lab, "--machine", "g", "--target", target, ...options);
  const said = `${name}: ${stdout}`;
  const ended = recordOf(lab, id).reason ?? "";
  assert.match(ended, reason, ended);
  const report = JSON.parse(lab.read(`analyses/${id}/report.json`)) as AnalysisReport;
  const own = report.processes.filter(({ origin }) => origin === "target");
  assert.ok(own.length > 0, said);
  for (const wanted of names) assert.ok(own.some((process) => process.name === wanted), `${said}\n${own.map((each) => each.name).join()}`); // prettier-ignore
  const reasons = own.flatMap((process) => process.unhashed ?? []);
  if (unhashed === undefined) assert.deepEqual(reasons, [], said);
  else assert.ok(reasons.some((text) => unhashed.test(text)), `${said}\n${reasons.join()}`); // prettier-ignore
  const restarts = [...readEvents(lab.path(`analyses/${id}`))].filter(({ type }) => type === "machine.restarted");
  assert.equal(restarts.length, script.includes("reboot") ? 1 : 0, said);
  const files = report.files.filter(({ origin }) => origin === "target").map(({ path }) => path);
  if (last !== undefined) assert.ok(files.includes(last), `${said}\n${files.join()}`);
}

test("a target that hides is in the record to its end, and ends its analysis no earlier than its last process", async () => {
  const settings = consoleMachine();
  const files = {
    "conf/machineries/rebox.yaml": yamlOf({ g: settings }),
    "conf/auxiliary.conf": "[processes]\nenabled = yes\n[syscalls]\nenabled = yes\n",
  };
  await withTestLab(files, async (lab) => {
    await giveReady(lab, { name: "g", settings });
    const failures: string[] = [];
    for (const [index, name] of Object.keys(WAYS).entries()) {
      await tryWay(lab, index + 1, name).catch((error: Error) =>
        failures.push(`${name}: ${error.message.slice(-700)}`),
      );
    }
    assert.equal(failures.join("\n\n"), "");
    assert.deepEqual(findLeft(lab), []);
  });
});

test("the page that lists ways to hide has each that is tried here", () => {
  const rows = readFileSync(join(PROJECT, PAGE), "utf8")
    .split("\n")
    .filter((line) => /^\| \d+ \|/.test(line));
  assert.ok(rows.length >= 20, String(rows.length));
  const tried = rows.flatMap((row) => /^\| \d+ \| ([^|]+) \|.*\| `hiding` \|$/.exec(row)?.[1]?.trim() ?? []);
  assert.deepEqual(tried.toSorted(), Object.keys(WAYS).toSorted());
});
