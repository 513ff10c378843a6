import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AnalysisJournal } from "../../src/lab/analysis/analysis-journal";
import type { AnalysisMachinePool, AnalysisMachine } from "../../src/lab/analysis/analysis-machine";
import type { AnalysisRecord } from "../../src/lab/analysis/analysis-record";
import { type AnalysisLimits, AnalysisRun } from "../../src/lab/analysis/analysis-run";
import type { AuxiliaryRun } from "../../src/lab/auxiliary/auxiliary-run";
import { readRecord } from "../../src/lab/analysis/analysis-record";
import { AuxiliaryFolder } from "../kit/lab/auxiliary-folder";

let lab: AuxiliaryFolder;
beforeEach(() => {
  lab = new AuxiliaryFolder();
  lab.module(
    "watch",
    ...["start", "machineStarted", "stop", "finish"].map((name) => `${name}() { this.say("${name}"); }`),
  );
  lab.configure("[watch]", "enabled = yes");
});
afterEach(() => lab.remove());

const ALL = ["watch start", "machine start", "watch machineStarted", "deliver", "execute", "close", "watch stop", "machine stop", "watch finish", "release"]; // prettier-ignore

/** Functions of a machine that are to do something else; `begin` and `execute` (untilEnd) are those of its target. */
type MachineFaults = Partial<AnalysisMachine> & {
  readonly begin?: () => Promise<void>;
  readonly execute?: () => Promise<string>;
  readonly reboot?: () => Promise<string | undefined>;
};

/** A machine that records what is done with it, refuses what its state does not allow, and fails where a test says so. */
function machineWith({
  begin,
  execute,
  reboot = async () => {
    lab.acts.push("reboot");
    return undefined;
  },
  ...faults
}: MachineFaults = {}): AnalysisMachine {
  let on = false;
  const act = (what: string) => void lab.acts.push(what);
  return {
    name: "one",
    label: "one",
    platform: "linux",
    machinery: "double",
    ip: undefined,
    interface: undefined,
    guest: undefined,
    start: async () => {
      act("machine start");
      assert.equal(on, false);
      on = true;
    },
    deliver: async () => {
      act("deliver");
      assert.equal(on, true);
      const untilEnd = execute ?? (async () => "the command ended with 0");
      return { begin: begin ?? (async () => act("execute")), untilEnd, reboot, close: () => act("close") };
    },
    dumpMemory: async () => act("dump"),
    stop: async () => {
      act("machine stop");
      on = false;
    },
    release: async (failure) => act(failure === undefined ? "release" : `quarantine: ${failure}`),
    ...faults,
  };
}

const never = () => new Promise<never>(() => {});

async function analyse(
  machine: AnalysisMachine | AnalysisMachinePool["acquire"],
  parts: { options?: Record<string, string>; timeoutS?: number; rebootS?: number; limits?: Partial<AnalysisLimits>; signal?: AbortSignal; run?: Partial<AuxiliaryRun> } = {}, // prettier-ignore
): Promise<AnalysisRecord> {
  const folder = join(lab.path, "run");
  mkdirSync(folder, { recursive: true });
  const { options = {}, timeoutS = 5 } = parts;
  const begun = { id: 1, machine: undefined, target: undefined, command: "id", options, timeoutS };
  const journal = new AnalysisJournal(folder, {
    ...begun,
    ...{ created: new Date().toISOString(), ended: undefined, phases: [], outcome: undefined, reason: undefined },
    ...{ auxiliary: [], log: [] },
  });
  const run = new AnalysisRun({
    request: { machine: "one", target: undefined, command: "id", options, timeoutS, scripts: [], ...(parts.rebootS === undefined ? {} : { rebootS: parts.rebootS }) }, // prettier-ignore
    machines: { acquire: typeof machine === "function" ? machine : async () => machine },
    journal,
    makeAuxiliary: () => lab.runner(parts.run === undefined ? {} : { run: parts.run }),
    onPhase: () => {},
    limits: { startMs: 300, dumpMs: 300, stopMs: 300, ...parts.limits },
  });
  await run.execute(parts.signal ?? new AbortController().signal);
  return readRecord(folder);
}

describe("an analysis", () => {
  test("goes its way in CAPE's order, and its record says so", async () => {
    const record = await analyse(machineWith());
    assert.deepEqual(lab.acts, ALL);
    assert.deepEqual([record.outcome, record.reason], ["finished", "the command ended with 0"]);
    assert.deepEqual(record.phases.map(({ phase }) => phase), ["waiting for a machine", "starting helpers", "starting machine", "delivering target", "running", "stopping helpers", "stopping machine"]); // prettier-ignore
    assert.deepEqual(record.auxiliary.map(({ name, state }) => [name, state]), [["watch", "stopped"]]); // prettier-ignore
  });

  test("dumps memory when it is asked to, after the helpers have stopped and while the machine is on", async () => {
    await analyse(machineWith(), { options: { memory: "yes" } });
    const end = lab.acts.slice(lab.acts.indexOf("watch stop"));
    assert.deepEqual(end, ["watch stop", "dump", "machine stop", "watch finish", "release"]);
  });

  test("starts the guest again behind the target's end when it is asked to, and has failed when that fails", async () => {
    const record = await analyse(machineWith(), { rebootS: 0.01 });
    assert.deepEqual([record.outcome, record.hasRun], ["finished", true]);
    assert.equal(record.reason, "the command ended with 0; the guest was started again and watched for 0.01 s");
    assert.deepEqual(record.phases.map(({ phase }) => phase).slice(4, 7), ["running", "rebooting", "running after the reboot"]); // prettier-ignore
    assert.deepEqual(lab.acts.slice(4, 7), ["execute", "reboot", "close"]);
    const off = await analyse(machineWith({ reboot: async () => "it is off" }), { rebootS: 0.01 });
    assert.deepEqual([off.outcome, off.reason], ["finished", "the command ended with 0; the guest was not started again: it is off"]); // prettier-ignore
    const reboot = async () => Promise.reject(new Error("it has not come back"));
    const failed = await analyse(machineWith({ reboot }), { rebootS: 0.01 });
    assert.deepEqual([failed.outcome, failed.reason, failed.hasRun], ["failed", "it has not come back", true]);
  });

  test("has finished when its time is over", async () => {
    const record = await analyse(machineWith({ execute: never }), { timeoutS: 0.05 });
    assert.deepEqual([record.outcome, record.reason], ["finished", "the time of 0.05 s was over"]);
    assert.deepEqual(lab.acts.slice(-4), ["watch stop", "machine stop", "watch finish", "release"]);
  });

  test("has failed when the guest did not get the target in time, and says so", async () => {
    const record = await analyse(machineWith({ deliver: never }), { timeoutS: 0.01, limits: { deliverMs: 50 } });
    const reason = "giving the guest the target has not ended within 50 ms";
    assert.deepEqual([record.outcome, record.reason], ["failed", reason]);
    assert.ok(!lab.acts.includes("execute"));
  });

  test("counts the target's time from its beginning, not from the machine's", async () => {
    const deliver = async () => {
      await sleep(100);
      return { begin: async () => {}, untilEnd: async () => "done", reboot: never, close: () => {} };
    };
    const record = await analyse(machineWith({ deliver }), { timeoutS: 0.05 });
    assert.deepEqual([record.outcome, record.reason], ["finished", "done"]);
  });

  test("has failed when the target did not begin in time, or at all: its own time has not counted by then", async () => {
    const limits = { beginMs: 50 };
    const late = await analyse(machineWith({ begin: never }), { timeoutS: 0.01, limits });
    assert.deepEqual([late.outcome, late.reason], ["failed", "the beginning of the target has not ended within 50 ms"]);
    assert.ok(!late.phases.some(({ phase }) => phase === "running"));
    const begin = async () => Promise.reject(new Error("the guest cannot execute the target"));
    const refused = await analyse(machineWith({ begin }));
    assert.deepEqual([refused.outcome, refused.reason], ["failed", "the guest cannot execute the target"]);
  });

  for (const [where, faults] of [
    ["the machine does not start", { start: async () => Promise.reject(new Error("no luck")) }],
    ["the target cannot be given to it", { deliver: async () => Promise.reject(new Error("no luck")) }],
  ] as const) {
    test(`ends everything when ${where}`, async () => {
      const record = await analyse(machineWith(faults));
      assert.deepEqual([record.outcome, record.reason], ["failed", "no luck"]);
      assert.deepEqual(lab.acts.slice(-4), ["watch stop", "machine stop", "watch finish", "release"]);
    });
  }

  test("ends everything when the machine's start takes too long, and its signal says so", async () => {
    let told = false;
    const start = (signal: AbortSignal) => new Promise<never>(() => signal.addEventListener("abort", () => (told = true))); // prettier-ignore
    const record = await analyse(machineWith({ start }));
    assert.match(record.reason!, /the start of the machine has not ended within 300 ms/);
    assert.equal(told, true);
    assert.deepEqual(lab.acts, ["watch start", "watch stop", "machine stop", "watch finish", "release"]);
  });

  for (const [where, method] of [
    ["starts its machine", "start"],
    ["runs", "execute"],
  ] as const) {
    test(`ends everything when it is cancelled while it ${where}`, async () => {
      const controller = new AbortController();
      const cancel = () => {
        controller.abort(new Error("Ctrl-C"));
        return never();
      };
      const record = await analyse(machineWith({ [method]: cancel }), { signal: controller.signal });
      assert.deepEqual([record.outcome, record.reason], ["cancelled", "Ctrl-C"]);
      assert.deepEqual(lab.acts.slice(-4), ["watch stop", "machine stop", "watch finish", "release"]);
    });
  }

  test("starts no more helpers when it is cancelled while they start, and stops those that have started", async () => {
    lab.module("a", 'start() { this.say("start"); }', 'stop() { this.say("stop"); }');
    lab.module(
      "b",
      "start() { this.run.options.cancel(); return new Promise(() => {}); }",
      'stop() { this.say("stop"); }',
    );
    lab.module("c", 'start() { this.say("start"); }');
    lab.configure(...["a", "b", "c"].flatMap((name) => [`[${name}]`, "enabled = yes"]));
    const controller = new AbortController();
    const cancel = () => controller.abort(new Error("Ctrl-C"));
    const run = { signal: controller.signal, options: { cancel } as unknown as Record<string, string> };
    const record = await analyse(machineWith(), { signal: controller.signal, run });
    assert.deepEqual([record.outcome, record.reason], ["cancelled", "Ctrl-C"]);
    assert.deepEqual(lab.acts, ["a start", "a stop", "release"]);
  });

  test("keeps no machine that comes when it was cancelled while it waited for one", async () => {
    const acquire = (_: string | undefined, signal: AbortSignal) =>
      new Promise<AnalysisMachine>((resolve) => signal.addEventListener("abort", () => resolve(machineWith())));
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("Ctrl-C")), 30);
    const record = await analyse(acquire, { signal: controller.signal });
    assert.deepEqual([record.outcome, record.reason, lab.acts], ["cancelled", "Ctrl-C", ["release"]]);
  });

  test("says why there is no machine", async () => {
    const record = await analyse(async () => Promise.reject(new Error("there is no machine one")));
    assert.deepEqual([record.outcome, record.reason, lab.acts], ["failed", "there is no machine one", []]);
  });

  test("puts a machine that does not stop into quarantine, and has failed", async () => {
    const record = await analyse(machineWith({ stop: never }));
    assert.equal(record.outcome, "failed");
    assert.match(
      lab.acts.at(-1)!,
      /^quarantine: the machine could not be stopped: the stop has not ended within 300 ms$/,
    );
    assert.deepEqual([record.reason, record.code], ["the machine could not be stopped: the stop has not ended within 300 ms", "REBOX_TIME_LIMIT"]); // prettier-ignore
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    const other = await analyse(machineWith({ stop: async () => Promise.reject(full) }));
    assert.deepEqual([other.outcome, other.code], ["failed", "ENOSPC"], "another host may have room");
  });

  test("continues when memory cannot be dumped, and says so", async () => {
    const faults = { dumpMemory: async () => Promise.reject(new Error("No space left on device")) };
    const record = await analyse(machineWith(faults), { options: { memory: "1" } });
    assert.equal(record.outcome, "finished");
    assert.match(record.log.map(({ text }) => text).join(), /dumping memory: No space left on device/);
  });

  test("has a folder of its own", async () => {
    await analyse(machineWith());
    assert.ok(existsSync(join(lab.path, "run/analysis.json")));
  });
});
