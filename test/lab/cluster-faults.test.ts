import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openDatabase } from "../../src/lab/analysis/analysis-places";
import { ServedQueue } from "../../src/lab/analysis/queue/served-queue";
import { checkHistory } from "../kit/cluster/check-history";
import { findProcesses } from "../kit/find-processes";
import { type HostProcess, NO_CLUSTER, TestCluster, until } from "../kit/cluster/test-cluster";

/** Hands analyses of a command in as a server does. */
function handIn(folder: string, ...commands: readonly string[]): void {
  const database = openDatabase(folder);
  const queue = new ServedQueue(database);
  for (const command of commands)
    queue.add({ ...{ machine: undefined, target: undefined, command, options: {}, timeoutS: 60, scripts: [] }, submission: { by: "anna", priority: 1 } }); // prettier-ignore
  database.close();
}

describe("a cluster in which parts are killed", { skip: NO_CLUSTER }, () => {
  let cluster: TestCluster;
  before(async () => void (cluster = await TestCluster.start()));
  after(() => cluster.stop());

  test("ends each analysis once, with all its files, and runs no two on one machine", async () => {
    const front = cluster.makeLab("front");
    const labs = ["one", "two", "three"].map((name) => cluster.makeLab(`lab-${name}`, `${name}-a`, `${name}-b`));
    const hosts: HostProcess[] = [];
    for (const [index, name] of ["one", "two", "three"].entries())
      hosts.push(await cluster.startHost(labs[index]!, name));
    const [one, two] = hosts as [HostProcess, HostProcess];
    cluster.collect(front);
    handIn(
      front,
      ...Array.from({ length: 6 }, () => "sleep 8"),
      ...Array.from({ length: 6 }, () => "echo done; sleep 1"),
    );
    const { database, queue, store } = await cluster.open(front);
    const list = () => queue.list({ origin: "front" });
    await until(
      "each machine has one",
      async () => (await list()).filter(({ phase }) => phase === "running").length === 6,
    );
    // The one is gone with all its processes, the other stands still past its lease, and both engines are away for a moment.
    one.child.kill("SIGKILL");
    for (const pid of findProcesses(labs[0]!)) process.kill(pid, "SIGKILL");
    two.child.kill("SIGSTOP");
    await sleep(2_000);
    await Promise.all([cluster.postgres.kill(), cluster.store.kill()]);
    await Promise.all([cluster.postgres.up(), cluster.store.up()]);
    await until(
      "others have what they had",
      async () => (await list()).filter(({ attempt }) => attempt > 1).length >= 4,
    );
    two.child.kill("SIGCONT");
    await until("all have ended", async () => (await list()).every(({ outcome }) => outcome !== undefined));
    await until(
      "all are collected",
      async () => (await queue.list({ origin: "front", isUncollected: true })).length === 0,
    );
    assert.deepEqual(
      (await list()).map(({ outcome }) => outcome),
      Array.from({ length: 12 }, () => "finished"),
    );
    for (const { number, files } of await list()) {
      assert.ok(
        files.some(({ name }) => name === "report.json"),
        `analysis ${number}`,
      );
      for (const { name, sha256 } of files) assert.equal(createHash("sha256").update(readFileSync(join(front, "analyses", String(number), name))).digest("hex"), sha256); // prettier-ignore
    }
    // The first comes back, and finds its work done by others.
    await cluster.startHost(labs[0]!, "one");
    const leftOn = (folder: string) => readdirSync(join(folder, "analyses")).filter((name) => /^\d+$/.test(name));
    await until("nothing is left on the hosts", () => labs.every((folder) => leftOn(folder).length === 0));
    const history = await database.query("SELECT * FROM rebox.history ORDER BY sequence");
    assert.deepEqual(checkHistory(history), []);
    // An attempt that comes late with a result is refused, whoever it is.
    const again = (await list()).find(({ attempt }) => attempt > 1)!;
    const [{ queue: name }] = (await database.query("SELECT queue FROM rebox.analyses WHERE id = $1", [again.id])) as [{ queue: string }]; // prettier-ignore
    const late = { id: again.id, queue: name, attempt: 1, host: "one", machine: "one-a" };
    assert.equal(await queue.finish(late, { outcome: "failed", reason: "late", files: [] }), false);
    const forged = { ...late, attempt: again.attempt, host: "three" === again.host ? "two" : "three" };
    assert.equal(await queue.finish(forged, { outcome: "failed", reason: "forged", files: [] }), false);
    assert.equal((await list()).find(({ id }) => id === again.id)!.outcome, "finished");
    const kept = new Set((await list()).flatMap(({ id, attempt, files }) => files.map(({ name }) => `analyses/${id}/${attempt}/${name}`))); // prettier-ignore
    await until("the store has the winners' files alone", async () =>
      (await store.list("analyses/")).every((key) => kept.has(key)),
    );
  });
});
