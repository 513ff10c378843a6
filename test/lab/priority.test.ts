import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { test } from "node:test";
import { AnalysisDatabase, type AnalysisRequest } from "../../src/lab/analysis/analysis-database";
import { LabMachinePool } from "../../src/lab/analysis/leased-machine";
import { ServedQueue } from "../../src/lab/analysis/queue/served-queue";
import { inFolder } from "../kit/in-folder";
import { withTestLab } from "../kit/lab/lab-run";
import { quickLab } from "../kit/lab/quick-machinery";

const REQUEST: AnalysisRequest = { machine: undefined, target: undefined, command: "true", options: {}, timeoutS: 5, scripts: [] }; // prettier-ignore

/** Longer than a look for a machine takes that is in use. */
const SOME_LOOKS_MS = 1_500;

test("a machine goes to the highest priority that can use it, and holds nobody up who wants another one", async () => {
  await withTestLab(quickLab("a", "b"), async (testLab) => {
    const lab = await testLab.open();
    const database = new AnalysisDatabase(testLab.path("analyses.db"));
    const stop = new AbortController();
    const got: string[] = [];
    /** Begins an analysis and has it wait for its machine. */
    const wait = async (what: string, request: Partial<AnalysisRequest>) => {
      const id = database.add({ ...REQUEST, ...request });
      assert.equal(database.begin(id, 9), true);
      const pool = new LabMachinePool(lab, {
        ...{ id, folder: testLab.folder, scripts: [], hasTarget: false, listAhead: () => database.listAhead(id) },
        ...{ addEvent: () => undefined, warn: () => undefined },
      });
      const machine = await pool.acquire(request.machine, stop.signal);
      database.setPhase(id, "running");
      got.push(`${what} ${machine.name}`);
      return machine;
    };
    try {
      const first = await wait("first", { machine: "a" });
      const low = wait("low", { machine: "a" });
      const usual = wait("usual", { machine: "a", priority: 2 });
      const high = wait("high", { machine: "a", submission: { by: "anna", priority: 3 } });
      // It may have any, and those before it want only the one that is in use.
      const any = await wait("any", {});
      assert.deepEqual(got, ["first a", "any b"]);
      for (const [machine, next] of [
        [Promise.resolve(first), high],
        [high, usual],
        [usual, low],
      ] as const) {
        await (await machine).release(undefined);
        await next;
        await sleep(SOME_LOOKS_MS);
      }
      assert.deepEqual(got.slice(2), ["high a", "usual a", "low a"]);
      await (await low).release(undefined);
      await any.release(undefined);
    } finally {
      stop.abort();
      database.close();
      await lab.close();
    }
  });
});

test("a server and commands begin the same analyses in the same order", async () => {
  const requests: AnalysisRequest[] = [undefined, 1, 2, 3, 2, undefined, 3].flatMap((priority, index) => [
    { ...REQUEST, command: `own ${index}`, ...(priority === undefined ? {} : { priority }) },
    { ...REQUEST, command: `sent ${index}`, submission: { by: "anna", priority: priority ?? 1 } },
  ]);
  await inFolder(async (folder) => {
    const [own, served] = ["own", "served"].map((name) => new AnalysisDatabase(join(folder, `${name}.db`))) as [AnalysisDatabase, AnalysisDatabase]; // prettier-ignore
    const queue = new ServedQueue(served);
    for (const request of requests) {
      own.add(request);
      queue.add(request);
    }
    const begun = { own: [] as number[], served: [] as number[] };
    for (const _each of requests) {
      const next = own.list().map(({ id }) => id).find((id) => own.begin(id, 1)); // prettier-ignore
      const other = queue.beginNext(1);
      begun.own.push(next!);
      begun.served.push(other!.id);
      own.end(next!, "finished", undefined);
      served.end(other!.id, "finished", undefined);
    }
    assert.deepEqual(begun.served, begun.own);
    const order = requests.map((request, index) => ({ id: index + 1, priority: request.submission?.priority ?? request.priority ?? 1 })); // prettier-ignore
    assert.deepEqual(begun.own, order.toSorted((one, other) => other.priority - one.priority || one.id - other.id).map(({ id }) => id)); // prettier-ignore
    own.close();
    served.close();
  });
});
