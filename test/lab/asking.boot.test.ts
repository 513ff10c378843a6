import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { readEvents } from "../../src/lab/analysis/event-log";
import { getArchiveProgram } from "../../src/lab/analysis/export/archive-program";
import { analyze, findLeft, recordOf } from "../kit/lab/analyze-run";
import { withReadyMachine } from "../kit/lab/ready-lab";

const ARGUMENT = "/tmp/told 'by' \"$an\" argument";

test("a file of a locked archive runs with its arguments, variables and folder, in a machine of a platform", async () => {
  await withReadyMachine(
    {
      "conf/auxiliary.conf": "[processes]\nenabled = yes\n[syscalls]\nenabled = yes\n",
    },
    async (lab) => {
      lab.write("in/sub/run.sh", '#!/bin/sh\necho "$A" > "$1"; echo x > "/tmp/in-$(basename "$PWD")"\n');
      const archive = lab.path("samples.zip");
      execFileSync(getArchiveProgram(), ["a", "-pinfected", archive, "sub"], { cwd: lab.path("in"), stdio: "pipe" });
      const ask = ["--target", archive, "--platform", "linux", "--tag", "small"];
      const { status, stdout } = await analyze(lab, ...ask, "--member", "sub/run.sh", "--argument", ARGUMENT, "--env", "A=x", "--folder", "/bin", "--option", "free=a,'b"); // prettier-ignore
      assert.equal(status, 0, stdout);
      const record = recordOf(lab);
      assert.deepEqual([record.target!.name, record.options], ["run.sh", { free: "a,'b" }]);
      const written = [...readEvents(lab.path("analyses/1"))].filter(({ type }) => type === "file.written");
      const paths = written.map(({ path }) => path);
      assert.deepEqual(paths.filter((path) => path === ARGUMENT || path === "/tmp/in-bin"), [ARGUMENT, "/tmp/in-bin"]); // prettier-ignore
      const refused = await analyze(lab, ...ask, "--member", "sub/none");
      assert.equal(refused.status, 1);
      assert.match(recordOf(lab, 2).reason!, /samples\.zip has no sub\/none; it has "sub\/run\.sh"/);
      const unfit = await analyze(lab, "--target", archive, "--tag", "large");
      assert.match(unfit.stdout, /no machine .*large/);
      assert.deepEqual(findLeft(lab).filter((name) => name.includes(".target")), []); // prettier-ignore
    },
    ["tags: [small, quick]"],
  );
});
