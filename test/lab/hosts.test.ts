import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { readMonotonicMs } from "../../src/config/moment";
import type { AnalysisDatabase, AnalysisRequest } from "../../src/lab/analysis/analysis-database";
import { getAnalysisFolder, openDatabase } from "../../src/lab/analysis/analysis-places";
import { readRecord, writeRecord } from "../../src/lab/analysis/analysis-record";
import { ServedQueue } from "../../src/lab/analysis/queue/served-queue";
import { takeLock } from "../../src/lab/process-lock";
import { HeldAttempts } from "../../src/server/hosts/held-attempts";
import { putResults } from "../../src/server/hosts/carry-files";
import { checkHistory, type HistoryLine } from "../kit/cluster/check-history";
import { findProcesses } from "../kit/find-processes";
import { TestCluster, until } from "../kit/cluster/test-cluster";

const REQUEST: AnalysisRequest = { machine: undefined, target: undefined, command: "true", options: {}, timeoutS: 60, scripts: [] }; // prettier-ignore

function use<Result>(folder: string, act: (database: AnalysisDatabase) => Result): Result {
  const database = openDatabase(folder);
  try {
    return act(database);
  } finally {
    database.close();
  }
}

/** Hands an analysis in as a server does. @returns its number */
function handIn(folder: string, request: Partial<AnalysisRequest> = {}): number {
  return use(folder, (database) => new ServedQueue(database).add({ ...REQUEST, submission: { by: "anna", priority: 1 }, ...request })); // prettier-ignore
}

const find = (folder: string, id: number) => use(folder, (database) => database.find(id)!);

describe("hosts of a cluster in a folder", () => {
  let cluster: TestCluster;
  before(() => (cluster = TestCluster.startInFolder()));
  afterEach(() => cluster.endHosts());
  after(() => cluster.stop());

  test("make analyses of several labs, and take none while they drain", async () => {
    const fronts = [cluster.makeLab("front-a"), cluster.makeLab("front-b")];
    for (const front of fronts) cluster.collect(front);
    const host = await cluster.startHost(cluster.makeLab("lab-one", "office"), "one");
    const command = (...args: readonly string[]) => cluster.run("host", ...args, "--lab", fronts[0]!);
    const ids = fronts.map((front) => handIn(front));
    await until("both have an end", () => fronts.every((front, at) => find(front, ids[at]!).outcome !== undefined));
    for (const [at, front] of fronts.entries()) {
      assert.equal(find(front, ids[at]!).outcome, "finished", host.errors());
      assert.ok(existsSync(join(getAnalysisFolder(front, ids[at]!), "report.json")));
    }
    assert.equal(command("drain", "one").stderr, "");
    await until("it is seen to drain", () => /^one +draining /m.test(command("list").stdout));
    // It hears of it by the next word that it gives.
    const { database, queue } = cluster.openFolder(fronts[0]!);
    const drainedMs = readMonotonicMs();
    await until("it has told since", () => database.select<{ seen_ms: number }>("SELECT seen_ms FROM hosts WHERE name = 'one'")[0]!.seen_ms > drainedMs); // prettier-ignore
    const waiting = handIn(fronts[0]!);
    await until("it is handed in", async () => (await queue.list({ origin: "front-a" })).length === 2);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    assert.equal((await queue.list({ origin: "front-a", limit: 1 }))[0]!.attempt, 0, "nothing is taken");
    command("resume", "one");
    await until("it is taken", () => find(fronts[0]!, waiting).outcome === "finished");
    // Nor while a later rebox has changed the cluster's tables: it hears of that, too.
    database.change("UPDATE facts SET version = version + 1");
    await until("it says so", () => /no work is taken: the cluster in .* use that version of rebox here, too/.test(host.errors())); // prettier-ignore
    const later = handIn(fronts[0]!);
    await until("it is handed in", async () => (await queue.list({ origin: "front-a" })).length === 3);
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal((await queue.list({ origin: "front-a", limit: 1 }))[0]!.attempt, 0, "nothing is taken");
    database.change("UPDATE facts SET version = version - 1");
    await until("it is taken", () => find(fronts[0]!, later).outcome === "finished");
    assert.match(command("drain", "nobody").stderr, /the cluster has no host nobody; there is one/);
    assert.equal(command("quota", "anna", "3").stdout, "submitter  most at once\nanna       3\n");
    assert.deepEqual(JSON.parse(command("quota", "--json").stdout), [{ submitter: "anna", mostRunning: 3 }]);
    command("quota", "anna", "none");
    await host.end();
    assert.equal(host.child.exitCode, 0, host.errors());
  });

  test("give an analysis up after the third attempt, with the reason of the last", async () => {
    const front = cluster.makeLab("front-c");
    const sample = join(cluster.folder, "sample.sh");
    writeFileSync(sample, "#!/bin/sh\necho lost on the way\n");
    const maker = cluster.collect(front);
    const id = handIn(front, { target: sample, command: undefined });
    const { queue } = cluster.openFolder(front);
    await until("it is handed in", async () => (await queue.list({ origin: "front-c" })).length === 1);
    rmSync(join(cluster.folder, "cluster/objects/content"), { recursive: true });
    const host = await cluster.startHost(cluster.makeLab("lab-two", "office"), "two");
    await until("it has an end", () => find(front, id).outcome !== undefined);
    assert.equal(find(front, id).outcome, "lost", host.errors());
    assert.match(find(front, id).reason ?? "", /^given up after 3 attempts: on two: .*objects has no content\//);
    await maker.stop();
  });

  test("know at their next start what was delivered before they were killed, and clean it up", async () => {
    const front = cluster.makeLab("front-d");
    const lab = cluster.makeLab("lab-three", "office");
    const maker = cluster.collect(front);
    const number = handIn(front, { host: "three" });
    const { queue, store } = cluster.openFolder(front);
    const fits = ({ host }: { readonly host?: string }) => host === "three";
    let attempt = await queue.take({ host: "three", machine: "office", fits });
    await until("it is there", async () => (attempt ??= await queue.take({ host: "three", machine: "office", fits })) !== undefined); // prettier-ignore
    // As the host is in the moment after its success, and before it has forgotten the analysis: nobody has collected it yet.
    await maker.stop();
    const own = use(lab, (database) => {
      const id = new HeldAttempts(database).add(attempt!, () => new ServedQueue(database).add(REQUEST));
      database.end(id, "finished", "the command ended with status 0");
      return id;
    });
    const folder = getAnalysisFolder(lab, own);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "report.json"), "{}");
    const files = await putResults(store, folder, attempt!.id, 1);
    assert.equal(await queue.finish(attempt!, { outcome: "finished", reason: "the command ended with status 0", files }), true); // prettier-ignore
    const host = await cluster.startHost(lab, "three");
    await until("it has forgotten it", () => use(lab, (database) => new HeldAttempts(database).list().length === 0));
    assert.equal(existsSync(folder), false);
    const again = cluster.collect(front);
    await until("it is collected", () => find(front, number).outcome === "finished");
    assert.equal(readFileSync(join(getAnalysisFolder(front, number), "report.json"), "utf8"), "{}", host.errors());
    assert.equal((await queue.list({ origin: "front-d" }))[0]!.attempt, 1);
    await host.end();
    // One that has failed as the host's disk was full, or its machine has another state by now, is no result; one that says so itself is.
    const reason = "ENOSPC: no space left on device, write";
    const others = new Map<number, number>();
    for (const [machine, code] of Object.entries({
      office: "ENOSPC",
      spare: "REBOX_GOLDEN_STATE",
      third: "REBOX_ANALYSIS",
      fourth: "REBOX_MACHINE_UNEXPECTED_STATE",
    })) {
      // prettier-ignore
      const asked = handIn(front, { host: "three" });
      let next = await queue.take({ host: "three", machine, fits });
      await until("it is there", async () => (next ??= await queue.take({ host: "three", machine, fits })) !== undefined); // prettier-ignore
      use(lab, (database) => {
        const id = new HeldAttempts(database).add(next!, () => new ServedQueue(database).add(REQUEST));
        const record = { id, target: undefined, command: "true", options: {}, timeoutS: 60, created: "", ended: "", machine: undefined } as const; // prettier-ignore
        mkdirSync(getAnalysisFolder(lab, id), { recursive: true });
        writeRecord(getAnalysisFolder(lab, id), { ...record, phases: [], auxiliary: [], log: [], outcome: "failed", reason, code }); // prettier-ignore
        database.end(id, "failed", reason);
      });
      others.set(asked, code === "REBOX_ANALYSIS" ? 1 : 2);
    }
    await cluster.startHost(lab, "three");
    await until("all have an end", () => [...others.keys()].every((id) => find(front, id).outcome !== undefined));
    for (const [id, attempt] of others) {
      const outcome = attempt === 1 ? "failed" : "finished";
      assert.deepEqual((await queue.list({ origin: "front-d", number: id })).map((each) => [each.attempt, each.outcome]), [[attempt, outcome]]); // prettier-ignore
    }
    await again.stop();
  });

  test("deliver what ran while they were dead, or leave it to another when that took longer than the lease", async () => {
    const front = cluster.makeLab("front-e");
    const labs = [cluster.makeLab("lab-four", "office"), cluster.makeLab("lab-five", "spare")];
    const { queue, database } = cluster.openFolder(front);
    // Each process reads it at its start: a host comes back within a long one, and the other one has a short one.
    database.change("UPDATE facts SET lease_s = 60");
    cluster.collect(front);
    const four = await cluster.startHost(labs[0]!, "four");
    const [kept, lost] = [handIn(front, { command: "sleep 6" }), handIn(front, { command: "sleep 6" })];
    await until("the first runs", () => find(front, kept).phase === "running");
    await four.end("SIGKILL");
    const again = await cluster.startHost(labs[0]!, "four");
    await until("it is delivered", () => find(front, kept).outcome !== undefined);
    const seen = async (id: number) => (await queue.list({ origin: "front-e" })).find(({ number }) => number === id)!;
    assert.deepEqual([(await seen(kept)).attempt, (await seen(kept)).outcome], [1, "finished"], again.errors());
    await until("the second runs", () => find(front, lost).phase === "running");
    await again.end("SIGKILL");
    for (const pid of findProcesses(labs[0]!)) process.kill(pid, "SIGKILL");
    database.change("UPDATE facts SET lease_s = 10");
    const five = await cluster.startHost(labs[1]!, "five");
    await until("it is delivered by the other", () => find(front, lost).outcome !== undefined);
    assert.deepEqual([(await seen(lost)).host, (await seen(lost)).outcome], ["five", "finished"], five.errors());
    await cluster.startHost(labs[0]!, "four");
    await until("nothing is left", () => use(labs[0]!, (each) => new HeldAttempts(each).list().length === 0));
    assert.deepEqual(checkHistory(database.select<HistoryLine>("SELECT * FROM history ORDER BY sequence")), []);
  });

  test("get again from a lab what had not ended, when their cluster was lost", async () => {
    const front = cluster.makeLab("front-g");
    const place = join(cluster.folder, "lost");
    const joinAnew = () => assert.equal(cluster.run("lab", "init", front, "--regen", "--cluster", place).status, 0);
    const isHandedIn = async () => {
      const { queue } = cluster.openFolder(front);
      return (await queue.list({})).some(({ number, outcome }) => number === id && outcome === undefined);
    };
    joinAnew();
    const maker = cluster.collect(front);
    const id = handIn(front);
    await until("it is handed in", isHandedIn);
    await maker.stop();
    rmSync(place, { recursive: true });
    joinAnew();
    cluster.collect(front);
    await until("it is handed in again", isHandedIn);
  });

  test("leave a lab that collects the results that are there, beside some that are missing or none", async () => {
    const front = cluster.makeLab("front-h");
    const maker = cluster.collect(front);
    const ids = [1, 2, 3].map(() => handIn(front, { host: "nobody" }));
    const { queue, store } = cluster.openFolder(front);
    const file = join(cluster.folder, "a result");
    writeFileSync(file, "{}");
    const sha256 = createHash("sha256").update("{}").digest("hex");
    await until("they are handed in", async () => (await queue.list({ origin: "front-h" })).length === 3);
    await maker.stop();
    for (const name of ["report.json", "a/../../b", "report.json"]) {
      const attempt = (await queue.take({ host: "nobody", machine: "office", fits: ({ host }) => host === "nobody" }))!;
      const isMissing = attempt.submission.number === ids[0];
      if (!isMissing && name === "report.json") await store.put(`analyses/${attempt.id}/1/${name}`, file);
      await queue.finish(attempt, { outcome: "finished", reason: undefined, files: [{ name, size: 2, sha256 }] });
    }
    const again = cluster.collect(front);
    await until("the others have an end", () => ids.slice(1).every((id) => find(front, id).outcome !== undefined));
    assert.deepEqual(ids.map((id) => find(front, id).outcome), [undefined, "lost", "finished"]); // prettier-ignore
    assert.match(find(front, ids[1]!).reason ?? "", /has the name "a\/\.\.\/\.\.\/b", which is none of a result/);
    assert.deepEqual(readdirSync(join(front, "analyses")).filter((name) => name.endsWith(".part")), []); // prettier-ignore
    again.cancel(ids[0]!, "cancelled by anna");
    await until("who cancels it does not wait for its files", () => find(front, ids[0]!).outcome === "cancelled");
    assert.match(find(front, ids[0]!).reason ?? "", /^cancelled by anna; .*objects has no analyses\//);
  });

  test("route by the golden state that a machine starts from", async () => {
    const front = cluster.makeLab("front-i");
    const labs = [cluster.makeLab("lab-seven", "office"), cluster.makeLab("lab-eight", "office")];
    const state = { format: 1, machine: "office", name: "special", createdMs: 1, files: [], origin: { args: [] } };
    mkdirSync(join(labs[1]!, "golden/office/special"), { recursive: true });
    writeFileSync(join(labs[1]!, "golden/office/special/golden.json"), JSON.stringify(state));
    cluster.collect(front);
    for (const [at, name] of ["seven", "eight"].entries()) await cluster.startHost(labs[at]!, name);
    const asked = cluster.run("analyze", "--lab", labs[0]!, "--command", "true", "--golden", "other", "--machine", "office"); // prettier-ignore
    assert.match(asked.stderr, /--golden and --tag choose a machine, and --machine has named one/);
    const [special, none] = ["special", "other"].map((golden) => handIn(front, { choice: { golden } })) as [number, number]; // prettier-ignore
    await until("it is made", () => find(front, special).outcome !== undefined);
    const { queue } = cluster.openFolder(front);
    const seen = async (id: number) => (await queue.list({ origin: "front-i" })).find(({ number }) => number === id);
    assert.deepEqual([(await seen(special))!.host, find(front, special).outcome], ["eight", "finished"]);
    assert.equal((await seen(none))?.attempt, 0, "no host has that one");
    // A host's lab asks for the state, too: its machine may be given another one before it starts.
    const late = use(labs[0]!, (database) => new ServedQueue(database).add({ ...REQUEST, machine: "office", choice: { golden: "other" }, submission: { by: "anna", priority: 1 } })); // prettier-ignore
    await until("it is refused", () => find(labs[0]!, late).outcome !== undefined);
    assert.equal(find(labs[0]!, late).reason, "office does not start from a golden state other any more");
    assert.equal(readRecord(getAnalysisFolder(labs[0]!, late)).code, "REBOX_GOLDEN_STATE");
  });

  test("leave an analysis to others whose machine somebody has started by hand", async () => {
    const front = cluster.makeLab("front-j");
    const [busy, free] = [cluster.makeLab("lab-ten", "office"), cluster.makeLab("lab-eleven", "spare")] as const;
    cluster.collect(front);
    const started = cluster.run("machine", "start", "office", "--lab", busy);
    assert.equal(started.status, 0, started.stderr);
    // The other one is there, and has no machine for it yet.
    const give = await takeLock(join(free, "state/spare/use.lock"), { timeoutMs: 0, owner: "a test" });
    const other = await cluster.startHost(free, "eleven");
    await cluster.startHost(busy, "ten");
    const id = handIn(front);
    const { queue } = cluster.openFolder(front);
    const seen = async () => (await queue.list({ origin: "front-j" }))[0];
    await until("it was tried there", async () => /on ten: office is running; stop it first/.test((await seen())?.reason ?? "")); // prettier-ignore
    await give();
    await until("it has an end", () => find(front, id).outcome !== undefined);
    assert.equal(cluster.run("machine", "stop", "office", "--lab", busy).status, 0);
    const { outcome, host, attempt } = (await seen())!;
    assert.deepEqual([outcome, host, attempt], ["finished", "eleven", 2], other.errors());
  });

  test("end also when they cannot leave the cluster any more", async () => {
    const lab = cluster.makeLab("lab-nine", "office");
    const joined = cluster.run("lab", "init", lab, "--regen", "--cluster", join(cluster.folder, "left"));
    assert.equal(joined.status, 0, joined.stderr);
    const host = await cluster.startHost(lab, "nine");
    cluster.openFolder(lab).database.change("DROP TABLE hosts");
    await host.end();
    assert.equal(host.child.exitCode, 0, host.errors());
    assert.match(host.errors(), /leaving the cluster: no such table: hosts/);
  });

  test("go on after an error that a module of their lab has not caught", async () => {
    const front = cluster.makeLab("front-f");
    const lab = cluster.makeLab("lab-six", "office");
    const module = join(lab, "modules/machinery/quick.ts");
    const stray = `if (process.argv.includes("host")) {\nsetTimeout(() => { throw new Error("stray of a timer"); }, 200);\nsetTimeout(() => void Promise.reject(new Error("stray of a promise")), 300);\n}\n`;
    writeFileSync(module, readFileSync(module, "utf8") + stray);
    cluster.collect(front);
    const host = await cluster.startHost(lab, "six");
    for (const text of ["stray of a timer", "stray of a promise"])
      await until(`the host tells of the ${text}`, () => host.errors().includes(`an error that nobody has caught: Error: ${text}`)); // prettier-ignore
    const id = handIn(front, { host: "six" });
    await until("it is made all the same", () => find(front, id).outcome !== undefined);
    assert.equal(find(front, id).outcome, "finished", host.errors());
  });
});
