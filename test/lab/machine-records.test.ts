import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { MachineDoesNotExistError, MachineUnserviceableError } from "../../src/lab/errors";
import { takeLock } from "../../src/lab/process-lock";
import { LabMachine, type MachineFacts } from "../../src/lab/machinery/records/lab-machine";
import { restoreMachine, saveMachine } from "../../src/lab/machinery/records/machine-file";
import { MachineList } from "../../src/lab/machinery/records/machine-list";
import { makeFacts } from "../kit/lab/memory-machinery";

function list(machines: Readonly<Record<string, Partial<MachineFacts>>>, mostLocked = 0): MachineList {
  const result = new MachineList(mostLocked);
  for (const [name, own] of Object.entries(machines)) result.add(new LabMachine(makeFacts(name, own)));
  return result;
}

describe("choosing a machine", () => {
  test("by platform, version and all of the tags; a machine that rested longest comes first", () => {
    const machines = list({
      a: { platform: "windows", osVersion: "10", tags: new Set(["office", "pdf"]) },
      b: { platform: "windows", osVersion: "10", tags: new Set(["office"]) },
      c: { platform: "linux" },
    });
    assert.equal(machines.find({ platform: "windows", tags: new Set(["pdf"]) })!.name, "a");
    assert.equal(machines.find({ platform: "windows", osVersion: "7" }), undefined);
    assert.equal(machines.find({ tags: new Set(["office", "pdf", "x"]) }), undefined);
    machines.get("a").changedMs = 2;
    machines.get("b").changedMs = 1;
    assert.equal(machines.acquire("run 1", { platform: "windows" })!.name, "b");
    assert.equal(machines.acquire("run 2", { platform: "windows" })!.name, "a");
    assert.equal(machines.acquire("run 3", { platform: "windows" }), undefined, "both are in use: wait");
    assert.throws(() => machines.find({ tags: ["office"] as unknown as Set<string> }), TypeError);
  });

  test("x86 takes x64, but x86 first; x64 never takes x86", () => {
    const machines = list({ big: { architecture: "x64" }, small: { architecture: "x86" } });
    machines.get("small").changedMs = 5;
    assert.equal(machines.findAvailable({ architecture: "x86" })!.name, "small");
    machines.get("small").lock("run");
    assert.equal(machines.findAvailable({ architecture: "x86" })!.name, "big");
    machines.get("big").lock("run");
    assert.equal(machines.findAvailable({ architecture: "x64" }), undefined);
  });

  test("a reserved machine is taken by its name or label alone", () => {
    const machines = list({ a: { isReserved: true, label: "A" } });
    assert.throws(() => machines.acquire("run", {}), MachineUnserviceableError);
    assert.equal(machines.acquire("run", { name: "A" })!.name, "a");
  });

  test("what can never be served says so, with the tags that there are", () => {
    const machines = list({ a: { tags: new Set(["pdf"]) }, b: { tags: new Set(["office"]) } });
    assert.throws(
      () => machines.acquire("run", { tags: new Set(["mac"]) }),
      /no machine with tags mac is configured, so waiting is of no use; tags that machines have: office, pdf/,
    );
  });

  test("no more machines are in use at once than may be", () => {
    const machines = list({ a: {}, b: {} }, 1);
    const first = machines.acquire("run 1", {})!;
    assert.equal(machines.acquire("run 2", {}), undefined);
    first.release();
    assert.notEqual(machines.acquire("run 2", {}), undefined);
  });

  test("what is in use, reserved or quarantined is not available, and says why", () => {
    const machines = list({ a: {} });
    const machine = machines.get("a");
    machine.lock("run 1");
    assert.equal(machine.unavailableReason, "in use by run 1");
    assert.throws(() => machine.lock("run 2"), /a cannot be taken: in use by run 1/);
    machine.release();
    assert.throws(() => machine.release(), /a is not in use/);
    machines.reserve(machine, "run 3");
    assert.equal(machine.unavailableReason, "reserved for run 3");
    assert.equal(machines.acquire("run 4", {}), undefined);
    assert.equal(machines.acquire("run 3", {}), machine);
    machine.release();
    machine.reservedBy = undefined;
    machine.disable("no snapshot");
    assert.equal(machine.unavailableReason, "quarantined: no snapshot");
    assert.equal(machine.state, "error");
  });

  test("two machines of one name are refused, and an unknown name gets the nearest", () => {
    const machines = list({ win10: {} });
    const other = new LabMachine(makeFacts("win10", { machineryName: "kvm" }));
    assert.throws(() => machines.add(other), /two machines are named win10, of memory and kvm/);
    assert.throws(() => machines.get("win11"), MachineDoesNotExistError);
    assert.throws(() => machines.get("win11"), /did you mean win10/);
  });

  test("errors of one machine are no other's, and only the last twenty are kept", () => {
    const [first, second] = [...list({ a: {}, b: {} })];
    for (let count = 0; count < 30; count++) first!.addError(`problem ${count}`);
    assert.equal(first!.errors.length, 20);
    assert.equal(first!.errors.at(-1)!.problem, "problem 29");
    assert.equal(second!.errors.length, 0);
  });
});

async function withFile(use: (file: string) => Promise<void> | void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "rebox-record-"));
  try {
    await use(join(folder, "deep/machine.json"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("what is kept of a machine", () => {
  test("reservation, quarantine, pause and faults survive; who uses it does not", () =>
    withFile((file) => {
      const machine = new LabMachine(makeFacts("a"));
      machine.reservedBy = "run 3";
      machine.lockedBy = "run 2";
      machine.setState("paused");
      machine.pausedBy = "run 7";
      machine.addError("it burns");
      saveMachine(file, machine);
      const again = new LabMachine(makeFacts("a"));
      assert.equal(restoreMachine(file, again), undefined);
      assert.deepEqual(
        [again.reservedBy, again.lockedBy, again.state, again.pausedBy],
        ["run 3", undefined, "paused", "run 7"],
      );
      assert.equal(again.errors[0]!.problem, "it burns");
      machine.disable("it burns");
      saveMachine(file, machine);
      restoreMachine(file, again);
      assert.match(again.unavailableReason!, /quarantined: it burns/);
    }));

  test("a damaged file is put aside and reported, and one that is not there is nothing special", () =>
    withFile((file) => {
      const machine = new LabMachine(makeFacts("a"));
      assert.equal(restoreMachine(file, machine), undefined);
      saveMachine(file, machine);
      writeFileSync(file, readFileSync(file, "utf8").slice(0, 20));
      assert.match(restoreMachine(file, machine)!, /what was known of a is damaged .* the file is now .*\.damaged/);
      assert.ok(existsSync(`${file}.damaged`));
      assert.equal(restoreMachine(file, machine), undefined);
    }));
});

describe("a lock between processes", () => {
  test("is had by one at a time, and who waits in vain is told by whom", () =>
    withFile(async (file) => {
      const release = await takeLock(file, { timeoutMs: 5000, owner: "a start of win10" });
      await assert.rejects(
        takeLock(file, { timeoutMs: 50, owner: "x" }),
        new RegExp(`a start of win10 \\(process ${process.pid}\\) has been busy with it for more than 0.05 s`),
      );
      let isTaken = false;
      const second = takeLock(file, { timeoutMs: 60_000, owner: "x" }).then((give) => {
        isTaken = true;
        return give;
      });
      assert.equal(isTaken, false);
      await release();
      await (
        await second
      )();
    }));

  test("is not waited for any longer when that is cancelled", () =>
    withFile(async (file) => {
      const release = await takeLock(file, { timeoutMs: 5000, owner: "x" });
      const controller = new AbortController();
      const waiting = takeLock(file, { timeoutMs: 60_000, owner: "y", signal: controller.signal });
      controller.abort();
      await assert.rejects(waiting, /was cancelled/);
      const late = takeLock(file, { timeoutMs: 60_000, owner: "z", signal: controller.signal });
      await assert.rejects(late, /was cancelled/);
      await release();
    }));
});
