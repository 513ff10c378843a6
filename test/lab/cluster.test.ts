import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { openDatabase } from "../../src/lab/analysis/analysis-places";
import { readRecord } from "../../src/lab/analysis/analysis-record";
import { runDocument } from "../kit/documents/run-document";
import { REBOX } from "../kit/project";
import { findPostgres } from "../kit/cluster/postgres";
import { NO_CLUSTER, TestCluster, until } from "../kit/cluster/test-cluster";

const find = (folder: string, id: number) => {
  const database = openDatabase(folder);
  try {
    return database.find(id);
  } finally {
    database.close();
  }
};

/** So much the clocks of hosts are wrong, in milliseconds: S3 permits a quarter of an hour. */
const CLOCK_MS = 600_000;

/** Writes a module with which the clock of a process of Node is another. @returns its address */
function writeClock(folder: string, aheadMs: number): string {
  const file = join(folder, `clock${aheadMs}.mjs`);
  writeFileSync(
    file,
    `import { existsSync, readFileSync, writeFileSync } from "node:fs";
    const used = ${JSON.stringify(join(folder, `clock${aheadMs}.used`))};
    writeFileSync(used, String(1 + (existsSync(used) ? Number(readFileSync(used, "utf8")) : 0)));
    const Real = Date;
    globalThis.Date = class extends Real {
      constructor(...given) { super(...(given.length === 0 ? [Real.now() + ${aheadMs}] : given)); }
      static now() { return Real.now() + ${aheadMs}; }
    };`,
  );
  return pathToFileURL(file).href;
}

describe("a lab with a cluster", { skip: NO_CLUSTER }, () => {
  let cluster: TestCluster;
  before(async () => void (cluster = await TestCluster.start()));
  afterEach(() => cluster.endHosts());
  after(() => cluster.stop());

  test("has its analyses made by hosts, and finds the results in its own folder", async () => {
    const front = cluster.makeLab("front1");
    assert.equal(statSync(join(cluster.folder, "first/conf/cluster.yaml")).mode & 0o777, 0o600);
    const host = await cluster.startHost(cluster.makeLab("host1", "office"), "alpha");
    const sample = join(cluster.folder, "sample.sh");
    writeFileSync(sample, "#!/bin/sh\necho the loot is there\n", { mode: 0o755 });
    const made = cluster.run("analyze", "--lab", front, "--target", sample, "--json");
    const { id, outcome, reason, folder } = JSON.parse(made.stdout) as { id: number; outcome: string; reason: string; folder: string }; // prettier-ignore
    // A quick machine takes no files; the record says which one the host has got.
    assert.deepEqual([id, outcome], [1, "failed"], made.stderr + host.errors());
    assert.match(reason, /^office cannot be given a target/);
    const sha256 = createHash("sha256").update(readFileSync(sample)).digest("hex");
    assert.deepEqual([readRecord(folder).id, readRecord(folder).target], [1, { name: "sample.sh", size: 33, sha256 }]);
    assert.match(readFileSync(join(folder, "report.html"), "utf8"), /Analysis 1: sample.sh/);
    // A second number of the lab is the first of nobody: the host's own numbers are not seen.
    const again = cluster.run("analyze", "--lab", front, "--command", "true", "--json");
    assert.equal((JSON.parse(again.stdout) as { id: number }).id, 2, again.stderr);
    assert.match(cluster.run("analyses", "list", "--lab", front).stdout, /^2 .*finished/m);
    await until("the host keeps nothing", () => !existsSync(join(host.folder, "analyses/1")) && !existsSync(join(host.folder, "analyses/2"))); // prettier-ignore
    assert.deepEqual(readdirSync(join(host.folder, "server/inputs")), []);
    await until("the host is seen to have nothing", () => /^alpha +working +0 of 1 /m.test(cluster.run("host", "list", "--lab", front).stdout)); // prettier-ignore
    await host.end();
    assert.equal(host.child.exitCode, 0, host.errors());
    assert.doesNotMatch(cluster.run("host", "list", "--lab", front).stdout, /alpha/);
    const recorded = cluster.run("analyze", "--lab", front, "--command", "true", "--record", "--host", "alpha");
    assert.equal(recorded.status, 1);
    assert.match(recorded.stdout, /failed: no recording can be kept of an analysis that hosts of a cluster make/);
    const { queue } = await cluster.open(front);
    assert.deepEqual((await queue.list({ origin: "front1" })).map(({ number, attempt, host: name, machine }) => [number, attempt, name, machine]), [[2, 1, "alpha", "office"], [1, 1, "alpha", "office"]]); // prettier-ignore
  });

  test("routes by what an analysis requires, and gives a host no more than it has machines, whatever their clocks say", async () => {
    const front = cluster.makeLab("front2");
    const startHost = async (name: string, machine: string, aheadMs: number) => {
      const { NODE_OPTIONS } = cluster.env;
      cluster.env.NODE_OPTIONS = `--import ${writeClock(cluster.folder, aheadMs)}`;
      try {
        return await cluster.startHost(cluster.makeLab(name, machine), name);
      } finally {
        cluster.env.NODE_OPTIONS = NODE_OPTIONS;
      }
    };
    const one = await startHost("one", "office", CLOCK_MS);
    const two = await startHost("two", "spare", -CLOCK_MS);
    const runs = [
      ["--machine", "spare"],
      ["--host", "one"],
      ["--platform", "linux", "--runs", "2"],
      ["--host", "two"],
    ].map(
      (args) =>
        spawn(process.execPath, [REBOX, "analyze", "--lab", front, "--command", "sleep 1", ...args], { env: cluster.env, stdio: "ignore" }), // prettier-ignore
    );
    await Promise.all(runs.map((run) => once(run, "exit")));
    assert.deepEqual(runs.map(({ exitCode }) => exitCode), [0, 0, 0, 0], one.errors() + two.errors()); // prettier-ignore
    const { queue, database } = await cluster.open(front);
    const list = await queue.list({ origin: "front2" });
    const requests = new Map(list.map(({ number }) => [number, find(front, number)!]));
    assert.equal(list.length, 5);
    // All their processes have had such a clock, also those of the analyses.
    for (const aheadMs of [CLOCK_MS, -CLOCK_MS]) assert.ok(Number(readFileSync(join(cluster.folder, `clock${aheadMs}.used`), "utf8")) > 1); // prettier-ignore
    for (const { number, host, machine, outcome } of list) {
      const request = requests.get(number)!;
      assert.equal(outcome, "finished");
      if (request.machine !== undefined) assert.equal(machine, request.machine);
      if (request.host !== undefined) assert.equal(host, request.host);
    }
    const history = await database.query<{ act: string; machine: string }>("SELECT act, machine FROM rebox.history WHERE act IN ('taken', 'ended') AND analysis IN (SELECT id FROM rebox.analyses WHERE origin = 'front2') ORDER BY sequence"); // prettier-ignore
    const busy = new Set<string>();
    for (const { act, machine } of history) {
      assert.equal(busy.has(machine), act === "ended", `${machine} is ${act}`);
      if (act === "taken") busy.add(machine);
      else busy.delete(machine);
    }
  });

  test("ends an analysis that waits or runs when it is cancelled", async () => {
    const front = cluster.makeLab("front3");
    const host = await cluster.startHost(cluster.makeLab("host3", "office"), "three");
    const run = spawn(process.execPath, [REBOX, "analyze", "--lab", front, "--command", "sleep 100", "--runs", "2"], { env: cluster.env, stdio: "ignore" }); // prettier-ignore
    await until("one runs", () => find(front, 1)?.phase === "running");
    run.kill("SIGINT");
    await once(run, "exit");
    assert.equal(run.exitCode, 130);
    for (const id of [1, 2]) assert.deepEqual([find(front, id)!.outcome, find(front, id)!.reason], ["cancelled", "cancelled by Ctrl-C"], host.errors()); // prettier-ignore
  });

  test("goes on in a cluster that was set back to a copy of its database, as the guide has it", () => {
    const [front, host] = [cluster.makeLab("front4"), cluster.makeLab("host4", "office")];
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = cluster.env;
    const { PATH } = process.env;
    const env = { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, LAB: front, HOST: host, DATABASE: cluster.postgres.url(), BUCKET: cluster.store.url("rebox") }; // prettier-ignore
    process.env.PATH = `${findPostgres()}:${PATH}`;
    try {
      assert.ok(runDocument("docs/guides/cluster-backup.md", { env, normalize: (text) => text }) > 12);
    } finally {
      process.env.PATH = PATH;
    }
    assert.deepEqual([1, 2, 3, 4].map((id) => find(front, id)?.command), ["echo before", "echo behind the copy", "echo it waits", "echo restored"]); // prettier-ignore
  });

  test("is told of a wrong password, a wrong key, a foreign bucket, a name that is taken, and another version", async () => {
    const { postgres, store, folder } = cluster;
    const init = (name: string, url: string, bucket: string) => cluster.run("lab", "init", join(folder, name), "--cluster", url, "--bucket", bucket); // prettier-ignore
    assert.match(init("a", postgres.url("wrong"), store.url("rebox")).stderr, /password authentication failed/);
    const lab = cluster.makeLab("lab", "office");
    cluster.env.AWS_SECRET_ACCESS_KEY = "wrong";
    assert.match(
      init("b", postgres.url(), store.url("rebox")).stderr,
      /cannot get rebox-cluster.txt: .*(403|SignatureDoesNotMatch)/,
    );
    cluster.env.AWS_SECRET_ACCESS_KEY = "the store's word";
    assert.match(init("c", postgres.url(), store.url("nowhere")).stderr, /NoSuchBucket|404|belongs to no cluster/);
    const settings = readFileSync(join(lab, "conf/cluster.yaml"), "utf8");
    writeFileSync(join(lab, "conf/cluster.yaml"), settings.replace('/rebox"', '/foreign"'));
    assert.match(
      cluster.run("host", "--lab", lab).stderr,
      /the bucket .*foreign belongs to no cluster; name this cluster's own/,
    );
    writeFileSync(store.file("foreign", "rebox-cluster.txt"), "6a0a3c0e-0000-4000-8000-000000000000");
    assert.match(cluster.run("host", "--lab", lab).stderr, /the bucket .*foreign belongs to another cluster/);
    writeFileSync(join(lab, "conf/cluster.yaml"), settings);
    const host = await cluster.startHost(lab, "four");
    assert.match(cluster.run("host", "--lab", lab, "--name", "two").stderr, /is served already/);
    const other = cluster.makeLab("other", "spare");
    assert.match(
      cluster.run("host", "--lab", other, "--name", "four").stderr,
      /another host of the cluster is called four/,
    );
    await host.end();
    // A rebox of another version: its tables are others.
    const { database } = await cluster.open(lab);
    const [{ version }] = (await database.query("SELECT version FROM rebox.cluster")) as [{ version: number }];
    const advice = { [version + 1]: "use that version of rebox here, too", [version - 1]: "bring it up to date: rebox lab init --cluster URL" }; // prettier-ignore
    for (const [given, text] of Object.entries(advice)) {
      await database.query("UPDATE rebox.cluster SET version = $1", [Number(given)]);
      assert.ok(cluster.run("host", "--lab", lab).stderr.includes(`the cluster has tables of version ${given}, and this rebox those of version ${version}; ${text}`)); // prettier-ignore
    }
    await database.query("UPDATE rebox.cluster SET version = $1", [version]);
    for (const stderr of [host.errors(), init("d", postgres.url("wrong"), store.url("rebox")).stderr])
      assert.doesNotMatch(stderr, /the database's word|the store's word|wrong/);
  });
});
