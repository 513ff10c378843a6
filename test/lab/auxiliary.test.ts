import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { AuxiliaryFolder } from "../kit/lab/auxiliary-folder";

// The numbers are those of the acceptance cases for auxiliary modules.
const START_STOP = ['start() { this.say("starts"); }', 'stop() { this.say("stops"); }'];

let lab: AuxiliaryFolder;
beforeEach(() => void (lab = new AuxiliaryFolder()));
afterEach(() => lab.remove());

const enable = (...names: string[]) => lab.configure(...names.flatMap((name) => [`[${name}]`, "enabled = yes"]));

async function runAll(runner = lab.runner()) {
  await runner.start();
  await runner.machineStarted();
  await runner.stop();
  await runner.finish();
  return runner;
}

const stateOf = (runner: { status: readonly { name: string; state: string }[] }) =>
  Object.fromEntries(runner.status.map(({ name, state }) => [name, state]));

describe("an auxiliary module", () => {
  test("that lies in modules/auxiliary is called once in each phase of an analysis, in CAPE's order", async () => {
    lab.module("mine", ...START_STOP, 'machineStarted() { this.say("sees"); } finish() { this.say("finishes"); }');
    enable("mine");
    const runner = await runAll();
    assert.deepEqual(lab.acts, ["mine starts", "mine sees", "mine stops", "mine finishes"]);
    assert.deepEqual(stateOf(runner), { mine: "stopped" });
  });

  test("has an instance for each analysis", async () => {
    lab.module("counts", "n = 0;", "start() { this.say(String(++this.n)); }");
    enable("counts");
    await Promise.all([runAll(), runAll()]);
    assert.deepEqual(lab.acts, ["counts 1", "counts 1"]);
  });

  test("belongs to the section with exactly its file's name", async () => {
    lab.module("Sniff", ...START_STOP);
    lab.configure("[sniff]", "enabled = yes");
    const runner = await runAll();
    assert.deepEqual(lab.acts, []);
    assert.match(lab.log.join("\n"), /auxiliary\.conf:1: warning: .*\[sniff\].*\[Sniff\]/);
    assert.deepEqual(stateOf(runner), { Sniff: "disabled" });
  });

  test("is not even constructed when it is disabled or has no section", async () => {
    lab.module("off", 'constructor() { super(); throw new Error("constructed"); }');
    lab.module("unnamed", 'constructor() { super(); throw new Error("constructed"); }');
    lab.configure("[off]", "enabled = no");
    const runner = await runAll();
    assert.deepEqual(runner.status.map(({ state, errors }) => [state, errors]), [["disabled", []], ["disabled", []]]); // prettier-ignore
    assert.match(runner.status[1]!.reason!, /no section \[unnamed\]/);
  });

  test("is refused with file, line and key when `enabled` is no switch", () => {
    lab.configure("[mine]", "enabled = perhaps");
    assert.throws(() => lab.runner(), /auxiliary\.conf:2: .*enabled.*perhaps/);
  });

  for (const [where, body] of [
    ["start()", 'start() { throw new Error("no luck"); }'],
    ["its constructor", 'constructor() { super(); throw new Error("no luck"); }'],
    ["a promise of start()", 'async start() { throw new Error("no luck"); }'],
  ] as const) {
    test(`that throws in ${where} keeps no other from starting, and is not stopped`, async () => {
      lab.module("bad", body, 'stop() { this.say("stops"); }');
      lab.module("good", ...START_STOP);
      enable("bad", "good");
      const runner = await runAll();
      assert.deepEqual(lab.acts, ["good starts", "good stops"]);
      assert.deepEqual(stateOf(runner), { bad: "failed", good: "stopped" });
      assert.match(lab.log.join("\n"), /warn: auxiliary module bad: .*no luck/);
    });
  }

  test("that throws in stop() keeps no other from stopping", async () => {
    lab.module("bad", 'stop() { throw new Error("stuck"); }');
    lab.module("good", ...START_STOP);
    enable("bad", "good");
    const runner = await runAll();
    assert.deepEqual(lab.acts, ["good starts", "good stops"]);
    assert.deepEqual(stateOf(runner), { bad: "stop-failed", good: "stopped" });
  });

  test("whose stop() never ends gets its time, and no more", async () => {
    lab.module("endless", "stop() { return new Promise(() => {}); }");
    lab.module("good", ...START_STOP);
    enable("endless", "good");
    const runner = await runAll();
    assert.deepEqual(lab.acts, ["good starts", "good stops"]);
    assert.match(runner.status[0]!.errors[0]!, /stop\(\) has not ended within 300 ms/);
  });

  test("needs no start()", async () => {
    lab.module("passive", 'stop() { this.say("stops"); }');
    enable("passive");
    await runAll();
    assert.deepEqual([lab.acts, lab.log], [["passive stops"], []]);
  });

  test("is stopped once, however often and at once", async () => {
    lab.module("mine", 'async stop() { await null; this.say("stops"); }');
    enable("mine");
    const runner = lab.runner();
    await runner.start();
    await Promise.all([runner.stop(), runner.stop()]);
    await runner.stop();
    assert.deepEqual(lab.acts, ["mine stops"]);
  });

  test("that returns false from start(), or says that it has nothing to do, is left out without a warning", async () => {
    lab.module("false", "start() { return false; }", 'stop() { this.say("stops"); }');
    lab.module("says", 'start() { throw new AuxiliaryDisabled("no network"); }', 'stop() { this.say("stops"); }');
    lab.module("later", 'cb_guest() { throw new AuxiliaryDisabled("no use"); }', 'stop() { this.say("stops"); }');
    enable("false", "says", "later");
    const runner = lab.runner();
    await runner.start();
    await runner.callback("guest");
    await runner.stop();
    assert.deepEqual([lab.acts, lab.log], [[], []]);
    assert.deepEqual(
      runner.status.map(({ name, state, reason }) => [name, state, reason]),
      [
        ["false", "disabled", "start() returned false"],
        ["later", "disabled", "no use"],
        ["says", "disabled", "no network"],
      ],
    );
  });

  test("gets callbacks that it has; one that throws stays", async () => {
    lab.module("a", 'cb_shot(n: number) { this.say("shot " + n); throw new Error("blurred"); }');
    lab.module("b");
    lab.module("c", 'cb_shot(n: number) { this.say("shot " + n); }');
    enable("a", "b", "c");
    const runner = lab.runner();
    await runner.start();
    await runner.callback("shot", 1);
    await runner.callback("shot", 2);
    assert.deepEqual(lab.acts, ["a shot 1", "c shot 1", "a shot 2", "c shot 2"]);
    assert.match(lab.log.join("\n"), /a: cb_shot\(\) failed: blurred/);
  });

  test("has its analysis, machine and options before start()", async () => {
    lab.module("mine", "start() { this.say([this.run.options.free, this.machine.name, this.options.port, this.options.deep, this.options.text].join()); }"); // prettier-ignore
    lab.configure("[mine]", "enabled = yes", "port = 8001", "deep: on", "; not this", "text = a b");
    await lab.runner({ run: { options: { free: "yes" } }, machine: { name: "win7" } }).start();
    assert.deepEqual(lab.acts, ["mine yes,win7,8001,true,a b"]);
  });

  test("starts and stops by its priorities, and those with the same in their order", async () => {
    for (const [name, start, stop] of [
      ["a", 0, -20],
      ["b", 10, 0],
      ["c", 10, 5],
      ["d", 0, 0],
    ] as const) {
      // prettier-ignore
      lab.module(name, ...START_STOP, `override startPriority = ${start}; override stopPriority = ${stop};`);
    }
    enable("a", "b", "c", "d");
    await runAll();
    const wanted = ["b starts", "c starts", "a starts", "d starts", "c stops", "b stops", "d stops", "a stops"];
    assert.deepEqual(lab.acts, wanted);
  });

  test("is refused when another has its name", () => {
    lab.module("mine");
    lab.write("more/mine.js", "");
    const folders = ["modules/auxiliary", "more"].map((folder) => `${lab.path}/${folder}`);
    assert.throws(
      () => lab.runner({ folders }),
      /more\/mine\.js: .*this name is in .*modules\/auxiliary\/mine\.ts too/,
    );
  });

  test("that is changed is the new one in the next analysis", async () => {
    lab.module("mine", 'start() { this.say("old"); }', 'stop() { this.say("old"); }');
    enable("mine");
    const runner = lab.runner();
    await runner.start();
    lab.module("mine", 'start() { this.say("new"); }');
    await runner.stop();
    await lab.runner().start();
    assert.deepEqual(lab.acts, ["mine old", "mine old", "mine new"]);
  });

  test("that is no auxiliary module says what to write, and one with an error where it is", async () => {
    lab.write("modules/auxiliary/empty.ts", "export const x = 1;");
    lab.write("modules/auxiliary/wrong.ts", "export default class {", "  start( {");
    enable("empty", "wrong");
    const runner = await runAll();
    assert.match(runner.status[0]!.reason!, /empty\.ts: exports no class that extends Auxiliary/);
    assert.match(runner.status[1]!.reason!, /wrong\.ts:2:\d+: /);
  });
});

describe("a private configuration in data/auxiliary", () => {
  const SHOWS = 'start() { this.say("starts with " + this.options.extra); }';

  test("is called before start() with the instance, and may add to its options", async () => {
    lab.module("mine", SHOWS);
    lab.configure("[mine]", "enabled = yes", "base = 4");
    lab.write(
      "data/auxiliary/mine.ts",
      'import type { Auxiliary } from "rebox/lab";',
      "export async function configure(aux: Auxiliary) { if (aux.enabled) aux.options.extra = Number(aux.options.base) + 1; }",
    );
    await lab.runner().start();
    assert.deepEqual(lab.acts, ["mine starts with 5"]);
  });

  for (const [what, source, problem] of [
    ["that is missing", undefined, undefined],
    ["without a parameter", "export function configure() {}", /configure: expected 1 argument, got 0/],
    ["with two", "export function configure(a: unknown, b: unknown) {}", /configure: expected 1 argument, got 2/],
    [
      "that throws",
      'export function configure(a: unknown) { throw new Error("broken"); }',
      /data\/auxiliary\/mine\.ts:1:\d+: configure\(\) threw Error: broken/,
    ],
    ["that cannot be compiled", "export function configure(a {", /data\/auxiliary\/mine\.ts:1:\d+: /],
    ["that imports what is missing", 'import "no-such-package"; export function configure(a: unknown) {}', /no-such-package/], // prettier-ignore
    ["whose program fails", 'import { execFileSync } from "node:child_process"; export function configure(a: unknown) { execFileSync("false"); }', /Command failed: false/], // prettier-ignore
  ] as const) {
    test(`${what} keeps the module from nothing`, async () => {
      lab.module("mine", SHOWS);
      enable("mine");
      if (source !== undefined) lab.write("data/auxiliary/mine.ts", source);
      const runner = lab.runner();
      await runner.start();
      assert.deepEqual(lab.acts, ["mine starts with undefined"]);
      if (problem === undefined) assert.deepEqual(lab.log, []);
      else assert.match(runner.status[0]!.errors.join(), problem);
    });
  }

  test("is called for a disabled module too, which can see that it is", async () => {
    lab.module("mine", ...START_STOP);
    lab.configure("[mine]", "enabled = no");
    lab.write("data/auxiliary/mine.ts", 'export function configure(aux: any) { aux.say("enabled " + aux.enabled); }');
    await runAll();
    assert.deepEqual(lab.acts, ["mine enabled false"]);
  });
});
