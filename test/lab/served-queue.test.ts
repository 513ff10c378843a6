import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { AnalysisDatabase, type AnalysisRequest } from "../../src/lab/analysis/analysis-database";
import { ServedQueue } from "../../src/lab/analysis/queue/served-queue";
import { inFolder } from "../kit/in-folder";
import { BUILT } from "../kit/project";

const requestOf = (command: string, priority = 1): AnalysisRequest => ({
  ...{ machine: undefined, target: undefined, command, options: {}, timeoutS: 5, scripts: [] },
  submission: { by: "anna", priority },
});

async function withQueue(use: (queue: ServedQueue, database: AnalysisDatabase, file: string) => void): Promise<void> {
  await inFolder(async (folder) => {
    const file = join(folder, "analyses.db");
    const database = new AnalysisDatabase(file);
    try {
      use(new ServedQueue(database), database, file);
    } finally {
      database.close();
    }
  });
}

/** Evaluates something in a process of its own, which ends then. */
function inOther(file: string, body: string): string {
  const load = (name: string) => `require(${JSON.stringify(join(BUILT, `src/lab/analysis/${name}.js`))})`;
  const program = `const { AnalysisDatabase } = ${load("analysis-database")}; const { ServedQueue } = ${load("queue/served-queue")};
    const database = new AnalysisDatabase(${JSON.stringify(file)}); const queue = new ServedQueue(database); ${body}`;
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", program], { encoding: "utf8" });
  assert.equal(stderr, "");
  return stdout;
}

describe("the queue of a server", () => {
  test("begins the highest priority first, then the oldest, and no more than the limit", async () => {
    await withQueue((queue, database) => {
      const [low, high, again] = [
        queue.add(requestOf("a")),
        queue.add(requestOf("b", 3)),
        queue.add(requestOf("c", 3)),
      ];
      assert.equal(queue.countWaiting(), 3);
      assert.deepEqual([queue.beginNext(2)?.id, queue.beginNext(2)?.id, queue.beginNext(2)], [high, again, undefined]);
      database.end(high, "finished", undefined);
      assert.equal(queue.beginNext(2)?.id, low);
      assert.equal(queue.beginNext(9), undefined);
    });
  });

  test("counts what other commands run, and keeps theirs from no turn", async () => {
    await withQueue((queue, database) => {
      const own = database.add(requestOf("own"));
      queue.add(requestOf("served"));
      assert.equal(database.begin(own, 1), true, "one of the server's that waits is no reason to wait");
      assert.equal(queue.beginNext(1), undefined);
      database.end(own, "finished", undefined);
      assert.ok(queue.beginNext(1));
    });
  });

  test("is nobody's loss when a server is gone: those that waited wait, and those it had begun begin again", async () => {
    await withQueue((queue, database, file) => {
      inOther(
        file,
        'for (const command of ["a", "b"]) queue.add({ command, options: {}, scripts: [], timeoutS: 1 }); queue.beginNext(5);',
      );
      assert.deepEqual(database.claimLost(), []);
      assert.deepEqual([database.find(1)?.phase, database.find(2)?.phase], ["waiting for a machine", "queued"]);
      queue.requeue();
      assert.equal(queue.countWaiting(), 2);
      // A process that has taken one and is gone has lost it.
      inOther(file, "queue.beginNext(5); queue.claim(1);");
      assert.deepEqual(
        database.claimLost().map(({ id }) => id),
        [1],
      );
    });
  });

  test("gives each analysis to one process", async () => {
    await withQueue((queue, _database, file) => {
      const id = queue.add(requestOf("a"));
      queue.beginNext(1);
      assert.equal(queue.claim(id).command, "a");
      assert.match(inOther(file, `try { queue.claim(${id}); } catch (error) { console.log(error.code, error.message); }`), /^REBOX_ANALYSIS analysis 1 waits for nobody/); // prettier-ignore
    });
  });

  test("ends one that waits at once, asks one that runs, and leaves one that has ended", async () => {
    await withQueue((queue, database) => {
      const [waiting, running] = [queue.add(requestOf("a")), queue.add(requestOf("b", 2))];
      queue.beginNext(1);
      assert.deepEqual(queue.cancel(waiting, "by anna"), { kind: "ended" });
      assert.deepEqual([database.find(waiting)?.outcome, database.find(waiting)?.reason], ["cancelled", "by anna"]);
      assert.deepEqual(queue.cancel(running, "by anna"), { kind: "asked", process: undefined });
      queue.claim(running);
      const asked = queue.cancel(running, "by max");
      assert.equal(asked.kind === "asked" && asked.process?.pid, process.pid);
      assert.equal(queue.findCancellation(running), "by anna", "the first is recorded");
      assert.equal(queue.remove(running), false);
      database.end(running, "cancelled", "by anna");
      assert.deepEqual(queue.cancel(running, "again"), { kind: "over" });
      assert.equal(queue.remove(running), true);
      assert.equal(database.find(running), undefined);
    });
  });
});
