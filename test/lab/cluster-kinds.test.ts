import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Submission } from "../../src/lab/analysis/analysis-database";
import type { Attempt, TakenAttempt } from "../../src/lab/cluster/analysis-queue";
import type { HostReport } from "../../src/lab/cluster/host-list";
import { ClusterError, MissingFileError } from "../../src/lab/errors";
import { checkHistory } from "../kit/cluster/check-history";
import { UpkeepTurn } from "../../src/server/hosts/upkeep-turn";
import { KINDS, type OpenedKind } from "../kit/cluster/cluster-kinds";

const REPORT: HostReport = {
  ...{
    name: "one",
    lab: "lab-one",
    process: "1",
    joins: true,
    version: "1",
    state: "working",
    machines: ["office"],
    queues: [],
  },
  load: { analyses: 0, processes: 0.5, freeMemory: 1, memory: 2, freeDisk: 3 },
};
const DONE = { outcome: "finished", reason: "the target ended", files: [{ name: "report.json", size: 2, sha256: "00" }] } as const; // prettier-ignore

test("a member of a cluster looks at what was given up now and then, and twice in half a lease when it is the only one", () => {
  for (const leaseS of [2, 4, 10, 30, 300]) {
    const turn = new UpkeepTurn();
    assert.deepEqual([turn.take(1, leaseS), turn.take(1, leaseS)], [true, false]);
    // As often as a host that has nothing to do.
    const tickMs = Math.min(1_000, (leaseS * 1_000) / 8);
    const looksMs = Array.from({ length: 2_000 }, (_none, at) => 1e9 + at * tickMs).filter((nowMs) => turn.take(1, leaseS, nowMs)); // prettier-ignore
    const gaps = looksMs.slice(1).map((nowMs, at) => nowMs - looksMs[at]!);
    assert.ok(gaps.length > 100 && Math.max(...gaps) < (leaseS * 1_000) / 2, `${leaseS} s: ${Math.max(...gaps)} ms`);
  }
});

test("the last of many members looks as often as one that is alone", () => {
  const turn = new UpkeepTurn();
  assert.equal(turn.take(1_000, 30, 0), true);
  assert.deepEqual([turn.take(1_000, 30, 200_000), turn.take(1, 30, 200_000)], [false, true]);
});

test("a history in which a machine had two analyses, or a lost attempt a result, is wrong", () => {
  const one = { host: "one", machine: "office" };
  const begin = (analysis: string, attempt = 1) => ({ analysis, act: "taken", attempt, ...one });
  const history = [
    ...["a", "b"].map((analysis) => ({ analysis, act: "submitted", attempt: 0 })),
    begin("a"),
    { analysis: "a", act: "lapsed", attempt: 1, ...one },
    begin("b"),
    { analysis: "b", act: "ended", attempt: 1, reason: "finished", ...one },
    begin("a", 2),
    { analysis: "a", act: "ended", attempt: 2, reason: "finished", ...one },
  ];
  assert.deepEqual(checkHistory(history), []);
  assert.deepEqual(checkHistory(history.filter(({ act }) => act !== "lapsed")), ["one/office is given b while it has a 1"]); // prettier-ignore
  const late = [...history.slice(0, 6), { ...history[7]!, attempt: 1 }];
  assert.deepEqual(checkHistory(late), ["a has a result of attempt 1, which was lost"]);
});

for (const kind of KINDS)
  describe(`a cluster in ${kind.name}`, { skip: kind.skip }, () => {
    let opened: OpenedKind;
    let numbers = 0;
    before(async () => void (opened = await kind.open()));
    after(() => opened?.close());

    /** Hands in an analysis for a machine that no other test has. */
    const submit = (machine: string, submission: Partial<Submission> = {}) => {
      const request = { machine, target: undefined, command: "true", options: {}, timeoutS: 60, scripts: [], submission: { by: "anna", priority: 1, ...submission } }; // prettier-ignore
      return opened.cluster.queue.submit({ origin: "lab", number: ++numbers, request, target: undefined, scripts: [] });
    };
    const take = (machine: string, host = "one") =>
      opened.cluster.queue.take({ host, machine, fits: (requirement) => requirement.machine === machine });
    const find = async (id: string) => (await opened.cluster.queue.list({})).find((each) => each.id === id)!;
    const finish = (attempt: Attempt) => opened.cluster.queue.finish(attempt, DONE);

    test("ends an analysis once, by its newest attempt, and answers who asks again", async () => {
      const { queue } = opened.cluster;
      const id = await submit("first");
      numbers--;
      assert.equal(await submit("first"), id, "handed in twice, it is one");
      assert.deepEqual([(await find(id)).phase, (await find(id)).attempt], ["queued", 0]);
      assert.equal(await take("none"), undefined);
      const fitting = await queue.listFitting(({ machine }) => machine === "first");
      assert.deepEqual([await queue.hasWaiting(fitting), await queue.hasWaiting([])], [true, false]);
      const attempt = (await take("first"))!;
      assert.equal(await queue.hasWaiting(fitting), false);
      assert.deepEqual([attempt.id, attempt.attempt, attempt.host, attempt.machine, attempt.submission.request.command], [id, 1, "one", "first", "true"]); // prettier-ignore
      assert.equal(await take("first"), undefined, "nobody else gets it");
      // It may wait in the queue of the host's own lab: it is nobody else's all the same.
      assert.deepEqual(await queue.heartbeat(attempt, "queued"), { kind: "goes on" });
      assert.equal(await take("first", "two"), undefined);
      assert.deepEqual(await queue.heartbeat(attempt, "running"), { kind: "goes on" });
      assert.equal(await queue.hasWon(attempt), false);
      const other = { ...attempt, host: "two" };
      assert.deepEqual(await queue.heartbeat(other, "running"), { kind: "lost" });
      assert.deepEqual(await queue.heartbeat({ ...other, queue: "gone" }, "running"), { kind: "lost" });
      assert.equal(await finish(other), false, "a host that reports for another");
      assert.equal((await find(id)).phase, "running");
      assert.equal(await finish(attempt), true);
      assert.equal(await finish(attempt), true, "a host that was killed behind its success asks again");
      assert.deepEqual([await queue.hasWon(attempt), await queue.hasWon(other), await queue.hasWon({ ...attempt, attempt: 2 })], [true, false, false]); // prettier-ignore
      assert.deepEqual(await queue.heartbeat(attempt, "running"), { kind: "lost" });
      assert.equal(await queue.fail(attempt, "late"), false);
      const { outcome, reason, files, host } = await find(id);
      assert.deepEqual({ outcome, reason, files, host }, { ...DONE, files: [...DONE.files], host: "one" });
      assert.deepEqual((await queue.list({ origin: "lab", isUncollected: true })).map((each) => each.id), [id]); // prettier-ignore
      await queue.markCollected([id]);
      assert.deepEqual(await queue.list({ origin: "lab", isUncollected: true }), []);
    });

    test("gives the analysis of a host that was not heard of to another, and refuses what the first brings late", async () => {
      const { queue } = opened.cluster;
      const id = await submit("lapsing");
      const first = (await take("lapsing"))!;
      await queue.heartbeat(first, "running");
      await opened.lapse(id);
      await queue.endGivenUp();
      assert.equal((await find(id)).phase, "queued");
      const second = (await take("lapsing", "two"))!;
      assert.deepEqual([second.id, second.attempt, second.host], [id, 2, "two"]);
      assert.deepEqual(await queue.heartbeat(first, "running"), { kind: "lost" });
      assert.equal(await finish(first), false);
      assert.equal(await finish(second), true);
      assert.equal((await find(id)).host, "two");
    });

    test("gives a machine one analysis at a time: what its host has forgotten, or lost, is over before the next begins", async () => {
      const { queue } = opened.cluster;
      const [first, second, third, fourth] = [await submit("given anew"), await submit("given anew"), await submit("given anew"), await submit("given anew")]; // prettier-ignore
      // The host was killed before it could note it, and asks again.
      const forgotten = (await take("given anew"))!;
      const next = (await take("given anew"))!;
      assert.deepEqual([forgotten.id, next.id], [first, second]);
      assert.deepEqual([(await find(first)).phase, (await find(first)).reason], ["queued", "on one: given anew was given to another analysis"]); // prettier-ignore
      assert.deepEqual(await queue.heartbeat(forgotten, "running"), { kind: "lost" });
      assert.equal(await finish(forgotten), false);
      assert.deepEqual(await queue.heartbeat(next, "running"), { kind: "goes on" });
      const again = (await take("given anew", "two"))!;
      assert.deepEqual([again.id, again.attempt], [first, 2], "another host has it at once");
      // Its lease has ended, and its host has heard of that before anybody else has taken it.
      await opened.lapse(second);
      await queue.endGivenUp();
      assert.deepEqual(await queue.heartbeat(next, "running"), { kind: "lost" });
      const other = (await take("given anew"))!;
      assert.notEqual(other.id, first);
      // One of which somebody wishes the end has it then.
      await queue.cancel(other.id, "cancelled by anna");
      const last = (await take("given anew"))!;
      assert.deepEqual([(await find(other.id)).outcome, (await find(other.id)).reason], ["cancelled", "cancelled by anna"]); // prettier-ignore
      const rest = [again, last];
      for (let more = await take("given anew", "three"); more !== undefined; more = await take("given anew", "three")) {
        assert.equal(await finish(more), true);
      }
      for (const attempt of rest) assert.equal(await finish(attempt), true);
      for (const id of [first, second, third, fourth]) assert.notEqual((await find(id)).outcome, undefined);
    });

    test("takes no word of a host for another's attempt", async () => {
      const { queue } = opened.cluster;
      const id = await submit("foreign");
      const attempt = (await take("foreign"))!;
      assert.equal(await queue.fail({ ...attempt, host: "two" }, "it is said to be broken"), false);
      assert.deepEqual([(await find(id)).phase, await take("foreign", "two")], ["waiting for a machine", undefined]);
      assert.equal(await finish(attempt), true);
    });

    test("makes a failed attempt again, elsewhere where it can, and gives up after the third with its reason", async () => {
      const { queue, hosts } = opened.cluster;
      const id = await submit("failing");
      const fits = await queue.listFitting(({ machine }) => machine === "failing");
      await hosts.tell({ ...REPORT, queues: fits });
      await hosts.tell({ ...REPORT, name: "two", lab: "lab-two", queues: fits });
      const fail = async (host: string) => {
        const attempt = (await take("failing", host))!;
        assert.equal(await queue.fail(attempt, `the machine of ${host} is broken`), true);
        return attempt.attempt;
      };
      assert.equal(await fail("one"), 1);
      assert.equal(await take("failing"), undefined, "another host could have it");
      assert.equal((await find(id)).reason, "the machine of one is broken");
      assert.equal(await fail("two"), 2);
      // Both have failed: either may try.
      assert.equal(await fail("one"), 3);
      await queue.endGivenUp();
      const { outcome, reason } = await find(id);
      assert.deepEqual([outcome, reason], ["lost", "given up after 3 attempts: the machine of one is broken"]);
      assert.equal(await take("failing", "two"), undefined);
      // Others are left to try for a while alone.
      const aging = await submit("failing");
      assert.equal(await fail("one"), 1);
      assert.equal(await take("failing"), undefined);
      await opened.age(aging);
      assert.equal((await take("failing"))?.attempt, 2);
      await queue.cancel(aging, "the test ends");
      // Nobody else is there for this one.
      const alone = await submit("alone");
      assert.equal(await queue.fail((await take("alone"))!, "once"), true);
      assert.equal((await take("alone"))?.id, alone);
    });

    test("ends one that waits when it is cancelled, and tells the attempt of one that runs", async () => {
      const { queue } = opened.cluster;
      const [runs, waits] = [await submit("cancelled"), await submit("cancelled")];
      const attempt = (await take("cancelled"))!;
      assert.equal(attempt.id, runs);
      for (const id of [runs, waits]) await queue.cancel(id, "cancelled by anna");
      await queue.cancel(runs, "again");
      assert.deepEqual([(await find(waits)).outcome, (await find(waits)).reason], ["cancelled", "cancelled by anna"]);
      assert.deepEqual(await queue.heartbeat(attempt, "running"), { kind: "cancelled", reason: "cancelled by anna" });
      assert.equal(await queue.finish(attempt, { outcome: "cancelled", reason: "cancelled by anna", files: [] }), true);
      assert.equal(await take("cancelled"), undefined);
    });

    test("ends one that is cancelled when its host fails, or is not heard of any more", async () => {
      const { queue } = opened.cluster;
      const [fails, lapses] = [await submit("failing to end"), await submit("lapsing to end")];
      const failing = (await take("failing to end"))!;
      await take("lapsing to end");
      for (const id of [fails, lapses]) await queue.cancel(id, "cancelled by anna");
      assert.equal(await queue.fail(failing, "the machine is broken"), true);
      await opened.lapse(lapses);
      await queue.endGivenUp();
      for (const id of [fails, lapses]) assert.deepEqual([(await find(id)).outcome, (await find(id)).reason], ["cancelled", "cancelled by anna"]); // prettier-ignore
      assert.deepEqual([await take("failing to end"), await take("lapsing to end")], [undefined, undefined]);
    });

    test("refuses another analysis under a number that it knows", async () => {
      const { queue } = opened.cluster;
      const request = { machine: "copied", target: undefined, command: "true", options: {}, timeoutS: 60, scripts: [] };
      const submission = { origin: "lab", number: ++numbers, request, target: undefined, scripts: [] };
      const id = await queue.submit(submission);
      assert.equal(await queue.submit(submission), id);
      const target = { name: "sample", size: 7, sha256: "ab".repeat(32) };
      await assert.rejects(queue.submit({ ...submission, target }), /knows analysis \d+ of lab as another one: is there a copy of this lab\?/); // prettier-ignore
      await queue.cancel(id, "the test ends");
    });

    test("lets the turn go round between submitters, after priorities and before age, and keeps quotas", async () => {
      const { queue } = opened.cluster;
      const ids = new Map<string, string>();
      const add = async (name: string, submission: Partial<Submission>) => void ids.set(await submit("shared", submission), name); // prettier-ignore
      for (const name of ["ann 1", "ann 2", "ann 3"]) await add(name, { by: "ann" });
      await add("bob 1", { by: "bob" });
      await add("bob 2", { by: "bob" });
      await add("later", { by: "carla", notBefore: "2999-01-01T00:00:00.000Z" });
      await add("ann urgent", { by: "ann", priority: 3 });
      const taken: TakenAttempt[] = [];
      const next = async () => {
        const attempt = await take("shared", `host-${taken.length}`);
        if (attempt !== undefined) taken.push(attempt);
        return attempt && ids.get(attempt.id);
      };
      // The urgent one is ann's, and then both have had one each.
      assert.deepEqual([await next(), await next(), await next(), await next()], ["ann urgent", "bob 1", "ann 1", "bob 2"]); // prettier-ignore
      await queue.setQuota({ submitter: "*", mostRunning: 5 });
      await queue.setQuota({ submitter: "ann", mostRunning: 2 });
      assert.equal(await next(), undefined);
      assert.deepEqual(await queue.listQuotas(), [{ submitter: "*", mostRunning: 5 }, { submitter: "ann", mostRunning: 2 }]); // prettier-ignore
      assert.equal(await finish(taken[0]!), true);
      assert.equal(await next(), "ann 2");
      await queue.setQuota({ submitter: "ann", mostRunning: undefined });
      assert.equal(await next(), "ann 3");
      await queue.setQuota({ submitter: "*", mostRunning: undefined });
      assert.equal(await next(), undefined, "one waits for its time");
      for (const attempt of taken.slice(1)) assert.equal(await finish(attempt), true);
      for (const [id, name] of ids) if (name === "later") await queue.cancel(id, "the test ends");
    });

    test("gives the only machine to who has waited longest", async () => {
      for (const by of ["dora", "dora", "dora", "emil"]) await submit("single", { by });
      const order: string[] = [];
      for (let count = 0; count < 4; count++) {
        const attempt = (await take("single"))!;
        order.push(attempt.submission.request.submission!.by);
        await finish(attempt);
      }
      assert.deepEqual(order.toSorted(), ["dora", "dora", "dora", "emil"]);
      assert.ok(order.indexOf("emil") < 2, order.join(", "));
    });

    test("ends no lease behind a time in which nobody could renew one: it stood still, or its clock was set on or back", async () => {
      const { queue } = opened.cluster;
      const id = await submit("still");
      const attempt = (await take("still"))!;
      for (const seconds of opened.hasClock ? [3_600, -3_600] : [3_600]) {
        await queue.endGivenUp();
        await opened.shiftClock(seconds);
        // Several may look before the host can say that it is there.
        for (let looks = 0; looks < 2; looks++) await queue.endGivenUp();
        assert.deepEqual(await queue.heartbeat(attempt, "running"), { kind: "goes on" }, `${seconds} s`);
      }
      await opened.lapse(id);
      await queue.endGivenUp();
      assert.deepEqual(await queue.heartbeat(attempt, "running"), { kind: "lost" }, "who is silent after that is gone");
      assert.equal(await finish((await take("still", "two"))!), true);
    });

    test("gives analyses out although its clock was set back since, also those that have failed or lost their host", async (context) => {
      if (!opened.hasClock) return context.skip("its clock counts from the boot");
      const { queue } = opened.cluster;
      const [fresh, failed, lapsed] = [await submit("set back"), await submit("failed before"), await submit("lapsed before")]; // prettier-ignore
      assert.equal(await queue.fail((await take("failed before"))!, "the machine is broken"), true);
      await take("lapsed before");
      await opened.lapse(lapsed);
      await queue.endGivenUp();
      await opened.shiftClock(-3_600);
      // The next look notices it.
      await queue.endGivenUp();
      for (const [machine, id, attempt] of [
        ["set back", fresh, 1],
        ["failed before", failed, 2],
        ["lapsed before", lapsed, 2],
      ] as const) {
        // prettier-ignore
        const taken = await take(machine);
        assert.deepEqual([taken?.id, taken?.attempt], [id, attempt], machine);
        assert.equal(await finish(taken!), true);
      }
    });

    test("is brought up to date from an earlier version of its tables, with what it has", async () => {
      for (const version of opened.earlier) {
        const connect = await opened.makeOlder(version);
        await assert.rejects(connect(false), new RegExp(`has tables of version ${version}, and this rebox those of version \\d+; bring it up to date: rebox lab init --cluster`)); // prettier-ignore
        for (const makes of [true, false]) {
          const { queue, hosts, golden, close } = await connect(makes);
          try {
            await queue.endGivenUp();
            assert.deepEqual(await golden.list(), []);
            assert.equal((await hosts.tell(REPORT)).hosts, 1);
            const attempt = await queue.take({ host: "one", machine: "office", fits: () => true });
            assert.equal(attempt?.submission.request.command, makes ? "from before" : undefined);
            if (attempt !== undefined) assert.equal(await queue.finish(attempt, DONE), true);
            assert.deepEqual((await queue.list({})).map(({ outcome }) => outcome), ["finished"]); // prettier-ignore
          } finally {
            await close();
          }
        }
      }
    });

    test("knows its hosts, and which are away", async () => {
      const { hosts } = opened.cluster;
      const report = { ...REPORT, name: "seen", lab: "lab-seen" };
      assert.equal((await hosts.tell(report)).isDraining, false);
      await assert.rejects(hosts.tell({ ...report, lab: "other" }), /another host of the cluster is called seen/);
      await hosts.setDraining("seen", true);
      const orders = await hosts.tell({ ...report, state: "ending" });
      const there = (await hosts.list()).filter(({ state }) => state !== "away").length;
      assert.deepEqual(orders, { isDraining: true, hosts: there, refusal: undefined });
      await opened.setLater(true);
      assert.match((await hosts.tell(report)).refusal ?? "", /has tables of version \d+, and this rebox those of version \d+; use that version of rebox here, too/); // prettier-ignore
      await opened.setLater(false);
      await hosts.tell({ ...report, name: "silent" });
      assert.equal((await hosts.tell(report)).hosts, there + 1);
      await opened.silence("silent");
      assert.equal((await hosts.tell(report)).hosts, there, "one that is away asks for nothing");
      await hosts.leave({ ...report, name: "silent" });
      await hosts.tell({ ...report, state: "ending" });
      const [seen] = (await hosts.list()).filter(({ name }) => name === "seen");
      assert.deepEqual([seen!.state, seen!.isDraining, seen!.machines, seen!.load.processes], ["ending", true, ["office"], 0.5]); // prettier-ignore
      assert.ok(Math.abs(seen!.seen.getTime() - Date.now()) < 60_000);
      await assert.rejects(hosts.setDraining("nobody", true), /the cluster has no host nobody; there is .*seen/);
      await hosts.leave({ ...report, lab: "other" });
      await hosts.leave({ ...report, process: "another" });
      assert.ok(
        (await hosts.list()).some(({ name }) => name === "seen"),
        "only its own process takes it away",
      );
      // A host that starts again is the same one at once; two that go on are not, as a copy of a lab is.
      assert.equal((await hosts.tell({ ...report, joins: false })).refusal, undefined);
      const copy = { ...report, process: "2" };
      assert.equal((await hosts.tell(copy)).refusal, undefined);
      const told = await hosts.tell({ ...report, joins: false });
      assert.deepEqual([told.isDraining, /another process of the cluster is called seen by now.* is its lab a copy of this one\?/.test(told.refusal ?? "")], [true, true]); // prettier-ignore
      assert.equal((await hosts.tell({ ...copy, joins: false })).refusal, undefined);
      await hosts.leave(report);
      assert.ok(
        (await hosts.list()).some(({ name }) => name === "seen"),
        "the one that is left stays",
      );
      await hosts.tell(report);
      await hosts.leave(report);
      assert.ok(!(await hosts.list()).some(({ name }) => name === "seen"));
    });

    test("stores files, and notices those that are not what they were", async () => {
      const { store } = opened.cluster;
      const folder = mkdtempSync(join(tmpdir(), "rebox-store-"));
      try {
        const [from, to] = [join(folder, "from"), join(folder, "to")];
        writeFileSync(from, "the loot");
        const expected = { size: 8, sha256: createHash("sha256").update("the loot").digest("hex") };
        await store.put("a/b/one", from);
        await store.put("a/c", from);
        assert.deepEqual([await store.findSize("a/b/one"), await store.findSize("a/b")], [8, undefined]);
        assert.deepEqual([(await store.list("a/")).toSorted(), await store.list("a/b/"), await store.list("x/")], [["a/b/one", "a/c"], ["a/b/one"], []]); // prettier-ignore
        await store.get("a/b/one", to, expected);
        assert.equal(readFileSync(to, "utf8"), "the loot");
        writeFileSync(from, "the LOOT");
        await store.put("a/c", from);
        await assert.rejects(store.get("a/c", to, expected), /the content of a\/c in .* is not what was put there/);
        assert.equal(existsSync(to), false);
        await assert.rejects(store.get("a/c", to, { ...expected, size: 3 }), /a\/c is larger than 3 bytes/);
        await assert.rejects(store.get("a/d", to, expected), ClusterError);
        // A large one travels in parts.
        const content = Buffer.alloc((64 << 20) + 5, "part");
        writeFileSync(from, content);
        const large = { size: content.length, sha256: createHash("sha256").update(content).digest("hex") };
        await store.put("a/d", from);
        await store.get("a/d", to, large);
        assert.ok(readFileSync(to).equals(content));
        await assert.rejects(store.get("a/d", to, { ...large, size: large.size + 1 }), /is not what was put there/);
        await assert.rejects(store.get("a/e", to, large), MissingFileError);
        await store.remove(["a/b/one", "a/c", "a/d", "a/e"]);
        assert.deepEqual(await store.list("a/"), []);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });

    test("has a history in which each analysis has gone right", async () => {
      const history = await opened.readHistory();
      assert.ok(history.length > 40);
      // Those that a test has left unfinished are all that is wrong.
      const left = (await opened.cluster.queue.list({})).filter(({ outcome }) => outcome === undefined);
      assert.deepEqual(checkHistory(history).toSorted(), left.map(({ id }) => `${id} has ended 0 times`).toSorted()); // prettier-ignore
    });
  });
