import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openAsBlob } from "node:fs";
import { test } from "node:test";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { consoleMachine, findLeft, SAMPLE, yamlOf } from "../kit/lab/analyze-run";
import { withTestLab } from "../kit/lab/lab-run";
import { giveReady } from "../kit/lab/ready-lab";
import { REBOX } from "../kit/project";
import { addUsers } from "../kit/server/test-server";

test("a sample that is handed in over HTTP is executed in a clone of a guest, and its report says what it did", async () => {
  const settings = consoleMachine();
  const files = {
    "conf/machineries/rebox.yaml": yamlOf({ g: settings }),
    "conf/auxiliary.conf": "[processes]\nenabled = yes\n[syscalls]\nenabled = yes\n[artefacts]\nenabled = yes\n",
  };
  await withTestLab(files, async (lab) => {
    await giveReady(lab, { name: "g", settings });
    const { analyst } = await addUsers(lab.folder);
    const child = spawn(process.execPath, [REBOX, "serve", "--lab", lab.folder, "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] }); // prettier-ignore
    try {
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      const url = /^serving on (\S+)/.exec(String(line))![1]!;
      const headers = { authorization: `Bearer ${analyst}` };
      const form = new FormData();
      form.append("file", await openAsBlob(SAMPLE), "sample");
      form.append("argument", "127.0.0.1");
      form.append("argument", "1");
      const answer = await fetch(`${url}/api/v1/analyses`, { method: "POST", headers, body: form });
      const { ids } = (await answer.json()) as { ids: [number] };
      const id = ids[0];
      const stream = await fetch(`${url}/api/v1/analyses/${id}/events/stream`, { headers });
      const told = await stream.text();
      assert.match(told, /^event: end\ndata: \{"outcome":"finished","reason":"the target ended with status \d+"\}$/m);
      const report = (await (await fetch(`${url}/api/v1/analyses/${id}/report.json`, { headers })).json()) as AnalysisReport; // prettier-ignore
      const written = report.files
        .filter(({ type, origin }) => type === "file.written" && origin === "target")
        .map(({ path }) => path);
      assert.deepEqual(written, ["/tmp/sample-draft", "/tmp/sample-child", "/tmp/sample-trace"]);
      assert.equal(report.analysis.machine!.name.startsWith("g"), true);
      const found = (await (await fetch(`${url}/api/v1/analyses?hash=${report.sample!.sha256}`, { headers })).json()) as { analyses: { id: number; machine: string }[] }; // prettier-ignore
      assert.deepEqual(
        found.analyses.map((each) => each.id),
        [id],
      );
      const archive = await fetch(`${url}/api/v1/analyses/${id}/artefacts`, { headers });
      assert.equal(archive.headers.get("content-type"), "application/zip");
      const lite = await fetch(`${url}/apiv2/tasks/get/report/${id}/litereport`, { headers });
      const { behavior } = (await lite.json()) as { behavior: { processes: { process_name: string; calls: { api: string }[] }[] } }; // prettier-ignore
      const sample = behavior.processes.find((each) => each.process_name === "sample")!;
      assert.ok(sample.calls.some(({ api }) => api === "file.renamed"));
    } finally {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    assert.deepEqual(findLeft(lab), []);
  });
});
