import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { analyze } from "../kit/lab/analyze-run";
import { NEEDS_DEBIAN, withDebian } from "../kit/lab/ready-debian";
import { PROJECT } from "../kit/project";

/** Reads the names of rebox's own signatures, except those about Windows. */
function listSignatures(): string[] {
  const folder = join(PROJECT, "modules/signatures");
  const files = readdirSync(folder).filter((name) => !name.startsWith("windows-"));
  return files.flatMap((name) =>
    [...readFileSync(join(folder, name), "utf8").matchAll(/\.\.\.\{ name: "([\w-]+)"/g)].map(([, found]) => found!),
  );
}

test("each of rebox's signatures is fired by a sample on a real system", { skip: NEEDS_DEBIAN }, async () => {
  const names = listSignatures();
  assert.ok(names.length > 90 && new Set(names).size === names.length);
  await withDebian([], async (lab) => {
    lab.write(
      "conf/auxiliary.conf",
      "[processes]\nenabled = yes\n[syscalls]\nenabled = yes\n[artefacts]\nenabled = yes\n",
    );
    const target = lab.write("sample.sh", readFileSync(join(PROJECT, "test/kit/lab/signature-sample.sh"), "utf8"));
    const { status, stdout } = await analyze(lab, "--machine", "office", "--target", target, "--timeout", "240");
    assert.equal(status, 0, stdout);
    const { analysis, verdict } = JSON.parse(lab.read("analyses/1/report.json")) as AnalysisReport;
    assert.match(analysis.reason!, /^the target ended with status 0$/);
    const fired = new Set(verdict!.findings.filter(({ kind }) => kind === "signature").map(({ name }) => name));
    assert.deepEqual(names.filter((name) => !fired.has(name)), [], lab.read("state/office/console.log").slice(-2000)); // prettier-ignore
    assert.equal(verdict!.judgement, "malicious");
    assert.deepEqual(verdict!.failures, []);
  });
});
