import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { checkAuxiliary } from "../../src/lab/auxiliary/check-auxiliary";
import { initAuxiliary } from "../../src/lab/auxiliary/init-auxiliary";
import { doors } from "../../src/doors/doors";
import { AuxiliaryFolder } from "../kit/lab/auxiliary-folder";

const TYPED = [
  'import { Auxiliary, z } from "rebox/lab";',
  "const SETTINGS = {",
  '  every: z.int().min(1).max(60).default(5).describe("How often, in seconds."),',
  '  place: z.string().optional().describe("Where."),',
  '  modes: z.array(z.enum(["a", "b"])).default([]),',
  "};",
  "export default class extends Auxiliary<typeof SETTINGS> {",
  '  static override readonly description = "Ticks.";',
  "  static override readonly settings = SETTINGS;",
  "  start() { this.run.addEvent(JSON.stringify(this.options), {}); }",
  "}",
];

let lab: AuxiliaryFolder;
beforeEach(() => {
  lab = new AuxiliaryFolder();
  lab.write("modules/auxiliary/ticks.ts", ...TYPED);
});
afterEach(() => lab.remove());

test("a module that declares its settings gets them typed, with their defaults, whatever the case of their names", async () => {
  lab.configure("[ticks]", "enabled = yes", "Every = 10", "modes = a, b");
  await lab.runner().start();
  assert.deepEqual(lab.acts.map((act) => JSON.parse(act) as unknown), [{ every: 10, modes: ["a", "b"] }]); // prettier-ignore
  assert.deepEqual(lab.log, []);
});

test("an unknown setting is a warning with the nearest one, and the module starts", async () => {
  lab.configure("[ticks]", "enabled = yes", "evry = 10");
  await lab.runner().start();
  assert.deepEqual(lab.acts.map((act) => JSON.parse(act) as unknown), [{ every: 5, modes: [] }]); // prettier-ignore
  assert.match(
    lab.log.join(),
    /auxiliary\.conf:3: warning: "evry" is no known setting here and is ignored; did you mean "every"/,
  );
});

test("a module with a mistake in its settings is not made, says each with file and line, and disturbs no other", async () => {
  lab.module("other", 'start() { this.say("starts"); }');
  lab.configure("[ticks]", "enabled = yes", "every = 0", "modes = a, c", "[other]", "enabled = yes");
  const runner = lab.runner();
  await runner.start();
  assert.deepEqual(lab.acts, ["other starts"]);
  const [, ticks] = runner.status;
  assert.equal(ticks!.state, "failed");
  assert.match(ticks!.reason!, /auxiliary\.conf:3: "every" is "0"; it must be a whole number from 1 to 60; /);
  assert.match(ticks!.reason!, /auxiliary\.conf:4: "modes" is "c"; it must be one of a, b$/);
});

test("the check of a lab tells every mistake at once: of the file, of the modules, and of what they are set to", async () => {
  lab.write("modules/auxiliary/broken.ts", "export default class {", "  start( {");
  lab.configure(
    ...["[ticks]", "enabled = yes", "every = often"],
    ...["[ticks]", "enabled = yes"],
    ...["[processes]", "enabled = perhaps"],
    ...["[tikcs]", "enabled = yes"],
    ...["[console]", "enabled = yes"],
  );
  const { problems, failures, enabled } = await checkAuxiliary(lab.path, doors);
  const errors = problems.errors.map(({ message }) => message.replace(/^.*(?=auxiliary\.conf)/, ""));
  assert.deepEqual(errors.toSorted(), [
    'auxiliary.conf:3: "every" is "often"; it must be a whole number from 1 to 60',
    "auxiliary.conf:4: [ticks] stands in line 1 already; put its settings there",
    'auxiliary.conf:5: "enabled" is set twice in [ticks]',
    'auxiliary.conf:7: "enabled" is "perhaps"; it must be one of true, yes, on, 1, false, no, off, 0',
  ]);
  assert.match(problems.warnings.join("\n"), /auxiliary\.conf:8: warning: .*\[tikcs\]; did you mean \[ticks\]\?/);
  assert.equal(failures.length, 1);
  assert.match(failures[0]!, /broken\.ts:2:\d+: /);
  assert.deepEqual(enabled, ["console"]);
});

test("what only data/auxiliary knows of a section is there for its configure(), and is no mistake", async () => {
  lab.write(
    "data/auxiliary/ticks.ts",
    'import type { Auxiliary } from "rebox/lab";',
    "export function configure(auxiliary: Auxiliary) {",
    "  const options = auxiliary.options as Record<string, unknown>;",
    "  auxiliary.run.addEvent(JSON.stringify([options.every, options.example_msi, options.count]), {});",
    "}",
  );
  lab.configure("[ticks]", "enabled = yes", "every = 10", "Example_MSI = tool.msi", "count = 7");
  await lab.runner().start();
  assert.equal(lab.acts[0], '[10,"tool.msi",7]');
  assert.deepEqual(lab.log, []);
  const { problems } = await checkAuxiliary(lab.path, doors);
  assert.deepEqual(problems.warnings.map(String), []);
});

test("a file that is no INI file is reported with its line", async () => {
  lab.configure("enabled = yes");
  const { problems } = await checkAuxiliary(lab.path, doors);
  assert.match(problems.errors[0]!.message, /auxiliary\.conf:1: .*stands before any section/);
});

test("a new lab's configuration explains every module, the user's too, and has no mistake", async () => {
  const file = join(lab.path, "conf/auxiliary.conf");
  assert.deepEqual((await initAuxiliary(lab.path, doors)).written, [file]);
  const text = readFileSync(file, "utf8");
  assert.ok(
    text.includes(
      "# Ticks.\n[ticks]\nenabled = no\n\n# How often, in seconds. (a whole number from 1 to 60)\nevery = 5\n",
    ),
    text,
  );
  assert.match(text, /^\[sniffer\]$/m);
  const { problems, failures } = await checkAuxiliary(lab.path, doors);
  assert.deepEqual([problems.errors, problems.warnings, failures], [[], [], []]);
});

test("a module that comes later gets its section at the end of the file, which stays as it is", async () => {
  const file = join(lab.path, "conf/auxiliary.conf");
  await initAuxiliary(lab.path, doors);
  const before = readFileSync(file, "utf8");
  assert.deepEqual((await initAuxiliary(lab.path, doors)).written, []);
  lab.module("later");
  assert.deepEqual((await initAuxiliary(lab.path, doors)).written, [`${file} [later]`]);
  assert.equal(readFileSync(file, "utf8"), `${before}\n[later]\nenabled = no\n`);
});
