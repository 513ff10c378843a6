import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { appendEvent } from "../../src/lab/analysis/event-log";
import { judge } from "../../src/lab/verdict/trial";
import { scanArtefacts } from "../../src/lab/yara/scan-artefacts";
import { getScore, listTechniques } from "../../src/lab/yara/yara-meta";
import { findYaraRules } from "../../src/lab/yara/yara-rules";

const lab = mkdtempSync(join(tmpdir(), "rebox-test-"));
after(() => rmSync(lab, { recursive: true }));

function write(path: string, content: string): string {
  const file = join(lab, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

const HASH = "a".repeat(64);
const rule = (name: string, meta: string, text: string) =>
  `rule ${name} : tag { meta: ${meta} strings: $a = "${text}" condition: $a }\n`;

test("rules of a lab are asked about the sample and its files, a broken file is named with its line, and a match counts", async () => {
  write("rules/yara/own/payload.yar", rule("Payload", 'severity = 8 description = "a [payload] \\"x\\"" mitre_attack = "T1105, T1059.004"', "PAYLOAD")); // prettier-ignore
  write("rules/yara/quiet.yara", `${rule("Quiet", "score = 20", "needle")}${rule("Never", "score = 20", "nowhere")}`);
  write(
    "rules/yara/broken.yar",
    'rule Fine { condition: true }\nrule Broken {\n  strings: $a = "x"\n  condition: $b\n}\n',
  );
  write("rules/yara/notes.txt", "no rules");
  const target = write("the sample, with blanks\n", "xx needle PAYLOAD");
  write(`analyses/1/artefacts/${HASH}`, "a PAYLOAD and another PAYLOAD");
  const index = { files: [{ time: "2026-01-01T00:00:00Z", moment: "closed", path: "/tmp/<x>", pid: 7, process: "p", size: 9, sha256: HASH }] }; // prettier-ignore
  write("analyses/1/artefacts.json", JSON.stringify(index));
  const rules = await findYaraRules(lab);
  assert.equal(rules.files.length, 2);
  assert.equal(rules.broken.length, 1);
  assert.match(rules.broken[0]!, /^rules\/yara\/broken\.yar:5: .*undefined string "\$b"/);
  const warnings: string[] = [];
  const folder = join(lab, "analyses/1");
  const events = await scanArtefacts(rules, { labFolder: lab, folder, target }, (text) => warnings.push(text));
  assert.deepEqual(warnings, []);
  const [sample, quiet, file] = ["sample Payload", "sample Quiet", "file Payload"].map((wanted) =>
    events.find(({ what, rule: name }) => `${what} ${name}` === wanted),
  );
  assert.equal(events.length, 3);
  assert.deepEqual(sample!.strings, [{ name: "$a", offset: 10, length: 7 }]);
  assert.deepEqual([file!.path, file!.sha256, file!.file], ["/tmp/<x>", HASH, "rules/yara/own/payload.yar"]);
  assert.deepEqual(file!.strings.map(({ offset }) => offset), [2, 22]); // prettier-ignore
  assert.equal(file!.description, 'a [payload] "x"');
  assert.deepEqual([quiet!.score, sample!.score, sample!.techniques], [2, 8, ["T1105", "T1059.004"]]);
  for (const event of events) appendEvent(folder, "yara.matched", { ...event });
  const { score, findings } = judge(folder, [], { rules: [], unusable: [] });
  assert.equal(score, 8.2);
  assert.deepEqual(findings.map(({ kind, name, count }) => [kind, name, count]), [["yara", "Payload", 2], ["yara", "Quiet", 1]]); // prettier-ignore
});

test("the score of a rule is in its meta, in one of the ways that collections have", () => {
  for (const [meta, score] of [
    [{ severity: "Critical" }, 9],
    [{ severity: 3 }, 3],
    [{ score: 75 }, 7.5],
    [{ Score: "60" }, 6],
    [{ score: -1 }, 5],
    [{ author: "x" }, 5],
  ] as const) {
    assert.equal(getScore(meta as Record<string, string | number>), score, JSON.stringify(meta));
  }
  assert.deepEqual(listTechniques({ reference: "https://attack.mitre.org/techniques/T1027.002/", a: "T1027.002 T1" }), [
    "T1027.002",
  ]);
});
