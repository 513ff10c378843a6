import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { AnalysisReport } from "../../src/lab/analysis/report/report";
import { makeExt4, writeTree } from "../kit/guests/disk-image";
import { analyze, consoleMachine, yamlOf } from "../kit/lab/analyze-run";
import { withTestLab } from "../kit/lab/lab-run";

const EVIL = "<img src=x onerror=alert(1)>";

/** A dropper: what it leaves is gone, replaced or changed when it has ended. */
const DROPPER = [
  "#!/bin/sh",
  "for module in $(cat /modules/order); do insmod /modules/$module.ko; done",
  "mkdir /tmp/disk; mount -t ext4 /dev/vda /tmp/disk; cd /tmp",
  // Opened for writing, never read: its content is on the disk alone.
  "exec 8>> disk/old; rm disk/old; exec 8>&-",
  "echo on the disk > disk/new; sync; echo 3 > /proc/sys/vm/drop_caches; rm disk/new",
  // Executed and removed.
  "printf '#!/bin/sh\\necho payload > /tmp/by-payload\\n' > drop",
  "chmod 755 drop",
  "./drop",
  "rm drop",
  // Each of its contents was there for a moment.
  "echo first > log",
  "echo second > log",
  // Replaced by another.
  "echo old > name; echo new > next; mv next name",
  // Removed while it is open, and written afterwards.
  "exec 5> open; echo early >&5; rm open; echo late >&5; exec 5>&-",
  // Opened for writing, and left as it is.
  "exec 6<> /modules/order; exec 6>&-",
  "cat /modules/order > /dev/null",
  `echo markup > '${EVIL}'`,
  "head -c 3000 /dev/zero > large",
  // Open at the end.
  "exec 7> kept-open; echo unfinished >&7",
  "sleep 60",
  "",
].join("\n");

const OLD = Array.from({ length: 100 }, (_, index) => `line ${index}\n`).join("");

test("files of a dropper are kept as they were at each moment, with their types, and what is too large is told", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rebox-test-"));
  after(() => rmSync(folder, { recursive: true }));
  writeTree(join(folder, "tree"), { old: OLD });
  makeExt4(join(folder, "disk"), join(folder, "tree"), "8M");
  const disk = `args: "-drive file=${join(folder, "disk")},format=raw,if=virtio,snapshot=on"`;
  const files = {
    "conf/machineries/rebox.yaml": yamlOf({ g: consoleMachine([disk]) }),
    "conf/auxiliary.conf": "[processes]\nenabled = yes\n[artefacts]\nenabled = yes\nmost_file_bytes = 2000\n",
    "rules/yara/payload.yar": `rule Payload { meta: severity = 6 strings: $a = "echo payload > /tmp" condition: $a }`,
  };
  await withTestLab(files, async (lab) => {
    const target = lab.write("dropper.sh", DROPPER);
    const { status, stdout } = await analyze(lab, "--target", target, "--timeout", "10");
    assert.equal(status, 0, stdout);
    const { artefacts, analysis, sample, verdict, log } = JSON.parse(lab.read("analyses/1/report.json")) as AnalysisReport & { log: { text: string }[] }; // prettier-ignore
    assert.deepEqual(analysis.auxiliary.find(({ name }) => name === "artefacts")!.errors, [], JSON.stringify(log));
    assert.deepEqual([sample!.type!.mime, sample!.sha256], ["text/x-shellscript", analysis.target!.sha256]);
    const [fired] = verdict!.findings.filter(({ kind }) => kind === "yara");
    assert.deepEqual([fired?.name, fired?.score, fired?.evidence[0]!.text], ["Payload", 6, "the sample"]);
    // The memory of several processes has the text too, and comes behind.
    assert.equal(fired!.evidence[1]!.text, "file /tmp/drop");
    const kept = readdirSync(lab.path("analyses/1/artefacts")).toSorted();
    const read = (name: string) => readFileSync(lab.path(`analyses/1/artefacts/${name}`));
    const seen = artefacts.flatMap(({ path, sha256, left, moments }) => {
      const content = sha256 === undefined ? `left: ${left}` : read(sha256).toString();
      return moments.map(({ moment }) => `${moment} ${path}: ${content}`);
    });
    const drop = "#!/bin/sh\necho payload > /tmp/by-payload\n";
    assert.deepEqual(seen.toSorted(), [
      `closed /tmp/${EVIL}: markup\n`,
      `closed /tmp/by-payload: payload\n`,
      `closed /tmp/disk/new: on the disk\n`,
      `closed /tmp/drop: ${drop}`,
      `closed /tmp/large: left: it has 3000 bytes, more than 2000 (most_file_bytes)`,
      `closed /tmp/log: first\n`,
      `closed /tmp/log: second\n`,
      `closed /tmp/name: old\n`,
      `closed /tmp/next: new\n`,
      `closed /tmp/open (deleted): early\nlate\n`,
      `end /tmp/kept-open: unfinished\n`,
      `executed /tmp/drop: ${drop}`,
      `removed /tmp/disk/new: on the disk\n`,
      `removed /tmp/disk/old: ${OLD}`,
      `removed /tmp/drop: ${drop}`,
      `removed /tmp/open: early\n`,
      `replaced /tmp/name: old\n`,
    ]);
    assert.deepEqual(kept, [...new Set(artefacts.flatMap(({ sha256 }) => sha256 ?? []))].toSorted());
    for (const name of kept) {
      assert.equal(createHash("sha256").update(read(name)).digest("hex"), name);
    }
    const script = artefacts.find(({ path }) => path === "/tmp/drop")!;
    assert.deepEqual([script.mime, /shell script/.test(script.description!)], ["text/x-shellscript", true]);
    // The one that wrote it, and the one that executes it.
    const executed = script.moments.find(({ moment }) => moment === "executed")!;
    assert.notEqual(executed.pid, script.moments.find(({ moment }) => moment === "closed")!.pid);
    const page = lab.read("analyses/1/report.html");
    assert.match(page, /&lt;img src=x onerror=alert\(1\)&gt;/);
    assert.doesNotMatch(page, /<img src=x/);
  });
});
