import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, test } from "node:test";
import { CuckooMachineError, GoldenStateError, MachineryError } from "../../src/lab/errors";
import { Machinery } from "../../src/lab/machinery/machinery";
import { MachineManager } from "../../src/lab/machinery/manager/machine-manager";
import { LabMachine, type MachineState } from "../../src/lab/machinery/records/lab-machine";
import { MachineList } from "../../src/lab/machinery/records/machine-list";
import { makeFacts, makeManager } from "../kit/lab/memory-machinery";

/** The least that a machinery has to have. */
class Least extends Machinery {
  override readonly name: string = "least";
  on = false;

  async restoreStart(): Promise<void> {
    this.on = true;
  }

  async stop(): Promise<void> {
    this.on = false;
  }

  async state(): Promise<MachineState> {
    return this.on ? "running" : "poweroff";
  }
}

function manageLeast() {
  const machines = new MachineList();
  machines.add(new LabMachine(makeFacts("m", { machineryName: "least" })));
  return new MachineManager(machines, new Map([["least", new Least()]]), { pollMs: 5 });
}

describe("actions", () => {
  test("restoreStart, stop and state are all that a machinery needs", async () => {
    const manager = manageLeast();
    assert.deepEqual(await manager.request("restoreStart", "m"), {
      ...{ success: true, reason: undefined, state: "running", isQuarantined: false },
    });
    assert.equal((await manager.request("stop", "m")).state, "poweroff");
  });

  test("what a machinery does not support fails, and the machine stays in the pool", async () => {
    const manager = manageLeast();
    for (const action of ["norestoreStart", "acpiStop", "dumpMemory", "pause"] as const) {
      const result = await manager.request(action, "m", { path: "/tmp/x" });
      assert.equal(result.success, false);
      assert.match(result.reason!, new RegExp(`machinery least does not support ${action}`));
      assert.equal(result.isQuarantined, false);
    }
    assert.deepEqual(
      Object.entries(new Least().capabilities).filter(([, has]) => has),
      [],
    );
  });

  test("a start of a machine that is known to run is refused, and the machine is as good as before", async () => {
    const { manager, machinery } = makeManager(["m"]);
    await manager.request("restoreStart", "m");
    const result = await manager.request("restoreStart", "m");
    assert.match(result.reason!, /m is running: it has not been turned off; stop it first/);
    assert.deepEqual([result.success, result.state, result.isQuarantined], [false, "running", false]);
    machinery.get("m").state = "poweroff";
    assert.equal((await manager.request("restoreStart", "m")).success, true, "it has gone off by itself");
  });

  test("a start of what is not off, unexpectedly, fails and quarantines with the reason; it is not stopped", async () => {
    const { manager, machinery } = makeManager(["m"]);
    machinery.get("m").state = "suspended";
    const result = await manager.request("restoreStart", "m");
    assert.match(result.reason!, /has not been turned off/);
    assert.equal(result.isQuarantined, true);
    assert.match(manager.machines.get("m").quarantine!.reason, /has not been turned off/);
    assert.deepEqual(machinery.get("m").calls, ["restoreStart"]);
  });

  test("a stop of what is off succeeds", async () => {
    const { manager } = makeManager(["m"]);
    assert.equal((await manager.request("stop", "m")).success, true);
  });

  test("a state that is none of the eight quarantines the machine and is among its errors", async () => {
    const { manager, machinery, machines } = makeManager(["m"]);
    machinery.get("m").afterStart = ["dreaming" as MachineState];
    const result = await manager.request("restoreStart", "m");
    assert.match(result.reason!, /"dreaming", which is none of starting, running, paused/);
    assert.equal(result.code, "REBOX_MACHINERY_UNHANDLED_STATE");
    assert.equal(result.isQuarantined, true);
    assert.match(machines.get("m").errors[0]!.problem, /dreaming/);
  });

  test("a start that fails by a damaged golden state has the code of that", async () => {
    const { manager, machinery } = makeManager(["m"]);
    machinery.get("m").failures.set("restoreStart", new GoldenStateError("the golden state ready of m cannot be used: the content of ram has changed")); // prettier-ignore
    const { success, code } = await manager.request("restoreStart", "m");
    assert.deepEqual([success, code], [false, "REBOX_GOLDEN_STATE"]);
    const unknown = await manager.request("stop", "nobody");
    assert.deepEqual([unknown.success, unknown.code], [false, "REBOX_MACHINE_UNKNOWN"]);
  });

  test("a machine that is restored paused is let go once", async () => {
    const { manager, machinery } = makeManager(["m"]);
    machinery.get("m").afterStart = ["starting", "paused"];
    assert.equal((await manager.request("restoreStart", "m")).state, "running");
    assert.deepEqual(machinery.get("m").calls, ["restoreStart", "handlePaused"]);
  });

  test("when letting go fails, so does the start, and the machine is stopped but not quarantined", async () => {
    const { manager, machinery } = makeManager(["m"]);
    machinery.get("m").afterStart = ["paused"];
    machinery.get("m").failures.set("handlePaused", new MachineryError("no"));
    const result = await manager.request("restoreStart", "m");
    assert.deepEqual([result.success, result.isQuarantined], [false, false]);
    assert.match(result.reason!, /is paused and cannot be let go: no/);
    assert.equal(machinery.get("m").state, "poweroff");
  });

  test("a start that is not running in time says what it saw, is stopped and quarantined", async () => {
    const { manager, machinery } = makeManager(["m"], { limits: { restoreStart: 60 } });
    machinery.get("m").afterStart = ["starting", ...Array.from({ length: 500 }, () => "starting" as const)];
    const result = await manager.request("restoreStart", "m");
    assert.match(result.reason!, /m is still starting after [\d.]+ s; expected running/);
    assert.equal(result.isQuarantined, true);
    assert.deepEqual(machinery.get("m").calls, ["restoreStart", "stop"]);
    assert.equal(machinery.get("m").state, "poweroff");
  });

  test("a system that does not shut down is stopped, and that is a success", async () => {
    const { manager, machinery } = makeManager(["m"], { limits: { acpiStop: 40 } });
    machinery.get("m").state = "running";
    machinery.get("m").acpiWorks = false;
    const result = await manager.request("acpiStop", "m");
    assert.deepEqual([result.success, result.state], [true, "poweroff"]);
    assert.deepEqual(machinery.get("m").calls, ["acpiStop", "stop"]);
  });

  test("a machine that goes off while it starts fails at once, not at the time limit", async () => {
    const { manager, machinery } = makeManager(["m"], { limits: { restoreStart: 60_000 } });
    machinery.get("m").afterStart = ["starting", "poweroff"];
    const result = await manager.request("restoreStart", "m");
    assert.match(result.reason!, /went off while it was starting/);
    assert.equal(result.isQuarantined, true);
  });

  test("a machinery that hangs is given up, in an action and in a look at the state", async () => {
    const { manager, machinery } = makeManager(["m", "n"], { limits: { stop: 50 } });
    machinery.get("m").hangs.add("stop");
    assert.match((await manager.request("stop", "m")).reason!, /stop of m: no answer within 0.05 s/);
    const controller = new AbortController();
    machinery.get("n").hangs.add("state");
    const looking = manager.readState("n", controller.signal);
    controller.abort();
    await assert.rejects(looking, /state of n was cancelled/);
  });

  test("an exception that is no CuckooMachineError is reported with its stack, and the next action works", async () => {
    const { manager, machinery } = makeManager(["m"]);
    machinery.get("m").failures.set("restoreStart", new TypeError("undefined is not a function"));
    const result = await manager.request("restoreStart", "m");
    assert.match(result.reason!, /machinery memory failed unexpectedly in restoreStart: TypeError: undefined[^]*at /);
    manager.enable("m");
    assert.equal((await manager.request("restoreStart", "m")).success, true);
  });

  test("a dump that fails says nothing about the machine", async () => {
    const { manager, machinery } = makeManager(["m"]);
    machinery.get("m").failures.set("dumpMemory", new CuckooMachineError("the disk is full"));
    const result = await manager.request("dumpMemory", "m", { path: "/tmp/dump" });
    assert.deepEqual([result.success, result.reason, result.isQuarantined], [false, "the disk is full", false]);
    assert.match((await manager.request("dumpMemory", "m")).reason!, /needs the path of a file/);
  });

  test("unknown machines are refused with the nearest name, and after shutdown() all but stops", async () => {
    const { manager } = makeManager(["win10"]);
    assert.match((await manager.request("stop", "win1")).reason!, /win1 does not exist; did you mean win10/);
    await manager.shutdown();
    assert.match((await manager.request("restoreStart", "win10")).reason!, /shutting down/);
    assert.equal((await manager.request("stop", "win10")).success, true);
  });
});

describe("several at once", () => {
  test("actions on one machine come one after the other, in their order", async () => {
    const { manager, machinery } = makeManager(["m"]);
    machinery.get("m").delayMs = 5;
    const results = await Promise.all([
      manager.request("restoreStart", "m"),
      manager.request("dumpMemory", "m", { path: "/x" }),
      manager.request("acpiStop", "m"),
      manager.request("restoreStart", "m"),
      manager.request("stop", "m"),
    ]);
    assert.deepEqual(
      results.map(({ success }) => success),
      [true, true, true, true, true],
    );
    assert.deepEqual(machinery.get("m").calls, ["restoreStart", "dumpMemory", "acpiStop", "restoreStart", "stop"]);
    assert.deepEqual(machinery.overlaps, []);
  });

  test("several machines start at once, and one that hangs keeps nobody waiting", async () => {
    const { manager, machinery } = makeManager(["a", "b", "c"]);
    machinery.get("a").hangs.add("restoreStart");
    const slow = manager.request("restoreStart", "a");
    const others = await Promise.all([manager.request("restoreStart", "b"), manager.request("restoreStart", "c")]);
    assert.deepEqual(
      others.map(({ success }) => success),
      [true, true],
    );
    assert.equal(machinery.mostStarting, 3);
    assert.equal((await slow).success, false);
  });

  test("no more machines are starting at once than may be", async () => {
    const names = ["a", "b", "c", "d", "e"];
    const { manager, machinery } = makeManager(names, { mostStarting: 2, limits: { restoreStart: 5000 } });
    for (const name of names) machinery.get(name).delayMs = 10;
    const results = await Promise.all(names.map((name) => manager.request("restoreStart", name)));
    assert.ok(results.every(({ success }) => success));
    assert.equal(machinery.mostStarting, 2);
  });

  test("a start that is cancelled is cleaned up, and the machine stays in the pool", async () => {
    const { manager, machinery } = makeManager(["m"]);
    machinery.get("m").afterStart = ["starting", ...Array.from({ length: 500 }, () => "starting" as const)];
    const controller = new AbortController();
    manager.on("begin", () => void setImmediate(() => controller.abort()));
    const result = await manager.request("restoreStart", "m", { signal: controller.signal });
    assert.match(result.reason!, /cancelled/);
    assert.deepEqual([result.state, result.isQuarantined], ["poweroff", false]);
  });

  test("what is cancelled before its turn does nothing", async () => {
    const { manager, machinery } = makeManager(["m"]);
    machinery.get("m").delayMs = 10;
    const controller = new AbortController();
    const first = manager.request("restoreStart", "m");
    const second = manager.request("stop", "m", { signal: controller.signal });
    controller.abort();
    assert.match((await second).reason!, /cancelled while it waited/);
    assert.equal((await first).state, "running");
  });
});

describe("quarantine", () => {
  test("a quarantined machine is not started, is looked at again, and comes back when it is well", async () => {
    const { manager, machinery } = makeManager(["m"]);
    machinery.get("m").failures.set("restoreStart", new CuckooMachineError("broken"));
    await manager.request("restoreStart", "m");
    assert.match((await manager.request("restoreStart", "m")).reason!, /m is quarantined: broken; mend it, then/);
    machinery.get("m").state = "running";
    machinery.get("m").failures.set("stop", new CuckooMachineError("still broken"));
    assert.equal(await manager.recheck("m"), false);
    assert.equal(manager.machines.get("m").quarantine!.checks, 1);
    assert.equal(await manager.recheck("m"), true);
    assert.equal(manager.machines.get("m").isAvailable, true);
    assert.equal((await manager.request("restoreStart", "m")).success, true);
  });

  test("what an operator has taken out comes back by the operator alone", async () => {
    const { manager } = makeManager(["m"]);
    manager.disable("m", "new disk");
    assert.equal(await manager.recheck("m"), false);
    assert.equal(manager.machines.get("m").unavailableReason, "quarantined: new disk");
    manager.enable("m");
    assert.equal(manager.machines.get("m").isAvailable, true);
  });

  test("a shutdown stops all, continues after a failure, and may be repeated", async () => {
    const { manager, machinery } = makeManager(["a", "b", "c"]);
    for (const name of ["a", "b", "c"]) machinery.get(name).state = "running";
    machinery.get("b").failures.set("stop", new CuckooMachineError("stuck"));
    assert.deepEqual([...(await manager.shutdown())], [["b", "stuck"]]);
    assert.deepEqual(
      ["a", "b", "c"].map((name) => machinery.get(name).state),
      ["poweroff", "running", "poweroff"],
    );
    assert.deepEqual([...(await manager.shutdown())], []);
  });
});

describe("a pause", () => {
  test("of a script is not undone by a start that waits, and is reported", async () => {
    const { manager, machinery } = makeManager(["m"]);
    machinery.get("m").afterStart = ["starting", "paused"];
    machinery.get("m").pausedBy = "script trace";
    const result = await manager.request("restoreStart", "m");
    assert.deepEqual([result.success, result.state], [true, "paused"]);
    assert.match(result.reason!, /held paused by script trace/);
    await sleep(20);
    assert.deepEqual(machinery.get("m").calls, ["restoreStart"]);
  });

  test("is ended by its owner alone", async () => {
    const { manager, machinery } = makeManager(["m"]);
    machinery.get("m").state = "running";
    assert.equal((await manager.request("pause", "m", { owner: "run 7" })).state, "paused");
    const refused = await manager.request("resume", "m", { owner: "run 8" });
    assert.match(refused.reason!, /held paused by run 7/);
    assert.equal(machinery.get("m").state, "paused");
    assert.equal((await manager.request("resume", "m", { owner: "run 7" })).state, "running");
    assert.equal(manager.machines.get("m").pausedBy, undefined);
  });
});

test("events tell what happens, and a listener that throws harms nobody", async () => {
  const { manager } = makeManager(["m"]);
  const told: string[] = [];
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  manager.on("begin", () => {
    throw new Error("listener");
  });
  manager.on("begin", ({ name }, action) => told.push(`begin ${name} ${action}`));
  manager.on("state", ({ name }, state) => told.push(`${name} is ${state}`));
  manager.on("end", ({ name }, action, { success }) => told.push(`end ${name} ${action} ${success}`));
  await manager.request("restoreStart", "m");
  assert.deepEqual(told, ["begin m restoreStart", "m is running", "end m restoreStart true"]);
  assert.match((await warned).message, /a listener of begin failed/);
});
