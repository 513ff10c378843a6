import assert from "node:assert/strict";
import { test } from "node:test";
import { buildProcessTree, type ProcessNode } from "../../src/lab/analysis/report/process-tree";
import { startModules, stopModules } from "../kit/lab/auxiliary-guest";
import { withGuest, withGuests } from "../kit/lab/guest-machine";

const ENABLED = ["[processes]", "enabled = yes"];

interface Recorded {
  readonly pid: number;
  readonly ppid: number;
  readonly name: string;
  readonly commandLine?: string;
  readonly executable?: string;
  readonly ended?: string;
}

function numberOf(output: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)`, "m").exec(output)![1]);
}

test("processes are reported with their parents, what they run and their ends, as the guest's shell says", async () => {
  await withGuest({}, async ({ lab, guest, execute }) => {
    await execute("true");
    const analysis = await startModules(lab, ENABLED, guest);
    const output = await execute(
      `/bin/sh -c '/bin/sleep 0.2 & echo child $! of $$; exec /bin/sh -c "wait; /bin/sleep 0.2; true"' & echo made $!; wait; /bin/sleep 900 & echo stays $!`,
    );
    // It has become its program by then.
    await execute("until [ $(cat /proc/$!/comm) = sleep ]; do /bin/sleep 0.05; done");
    await stopModules(analysis);
    assert.deepEqual(analysis.log, []);
    const made = numberOf(output, "made");
    const child = numberOf(output, "child");
    const stays = numberOf(output, "stays");
    assert.match(output, new RegExp(`^child \\d+ of ${made}$`, "m"));
    const { processes, before, leftOut, lost } = JSON.parse(analysis.read("processes.json")) as {
      processes: Recorded[];
      before: { pid: number; name: string; isKernelThread: boolean }[];
      leftOut: number;
      lost: number;
    };
    const find = (pid: number) => processes.filter((process) => process.pid === pid);
    assert.deepEqual(find(child).map(({ ppid, name, commandLine, executable }) => [ppid, name, commandLine, executable]), [[made, "sleep", "/bin/sleep 0.2", "/bin/busybox"]]); // prettier-ignore
    assert.ok(find(child)[0]!.ended);
    assert.deepEqual(find(made).map(({ ppid, name, commandLine }) => [ppid, name, commandLine]), [[1, "sh", "/bin/sh -c wait; /bin/sleep 0.2; true"]]); // prettier-ignore
    assert.deepEqual(find(stays).map(({ name, ended }) => [name, ended]), [["sleep", undefined]]); // prettier-ignore
    assert.deepEqual(before.find(({ pid }) => pid === 1), { pid: 1, ppid: 0, name: "init", isKernelThread: false }); // prettier-ignore
    assert.equal(before.find(({ name }) => name === "kthreadd")!.isKernelThread, true);
    assert.deepEqual([leftOut, lost], [0, 0]);
    const tree = buildProcessTree(analysis.events);
    const node = tree.find(({ pid }) => pid === made) as ProcessNode;
    assert.deepEqual([node.name, node.commandLine], ["sh", "/bin/sh -c wait; /bin/sleep 0.2; true"]);
    assert.deepEqual(node.children.map(({ pid, name, commandLine }) => [pid, name, commandLine]).slice(0, 1), [[child, "sleep", "/bin/sleep 0.2"]]); // prettier-ignore
  });
});

test("a guest that starts processes without end does not fill the disk, and two analyses know nothing of each other", async () => {
  await withGuests({ names: ["a", "b"] }, async ([a, b]) => {
    await Promise.all([a!.execute("true"), b!.execute("true")]);
    const settings = [...ENABLED, "most = 3"];
    const [first, second] = await Promise.all([
      startModules(a!.lab, settings, a!.guest),
      startModules(b!.lab, ENABLED, b!.guest),
    ]);
    await a!.execute("for i in 1 2 3 4 5; do /bin/sh -c true; done");
    const output = await b!.execute("/bin/sh -c 'echo only $$'");
    await Promise.all([stopModules(first!), stopModules(second!)]);
    assert.equal(new Set(first!.eventsOf("process.created").map(({ pid }) => pid)).size, 3);
    assert.deepEqual(first!.log, ["warn: processes: 2 processes more have begun than are told of (most)"]);
    const pids = new Set(second!.eventsOf("process.created").map(({ pid }) => pid));
    assert.deepEqual([...pids], [numberOf(output, "only")]);
    assert.deepEqual(second!.log, []);
  });
});

test("a machine that cannot be looked into is said to be one", async () => {
  await withGuest({}, async ({ lab }) => {
    const analysis = await startModules(lab, ENABLED, undefined);
    await stopModules(analysis);
    assert.deepEqual(analysis.status("processes").errors, [
      "machineStarted() failed: machine g cannot be looked into, so processes has nothing to do; use one of rebox",
    ]);
  });
});

test("an engine that ends in the meantime is reported, and what was seen until then is kept", async () => {
  await withGuest({}, async ({ lab, guest, manager, execute }) => {
    await execute("true");
    const analysis = await startModules(lab, ENABLED, guest);
    await execute("/bin/sleep 0");
    await manager.request("stop", "g");
    await stopModules(analysis);
    assert.match(analysis.status("processes").errors.join(), /the engine has ended the connection/);
    assert.equal((JSON.parse(analysis.read("processes.json")) as { processes: Recorded[] }).processes.length, 1);
  });
});
