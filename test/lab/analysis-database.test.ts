import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { AnalysisDatabase, type AnalysisRequest } from "../../src/lab/analysis/analysis-database";
import { BUILT } from "../kit/project";

const MODULE = join(BUILT, "src/lab/analysis/analysis-database.js");
const REQUEST: AnalysisRequest = {
  machine: "deb12",
  target: "/tmp/sample",
  command: undefined,
  options: { free: "yes" },
  timeoutS: 5,
  scripts: [],
};

let folder: string;
let file: string;
let database: AnalysisDatabase;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-database-"));
  file = join(folder, "lab/analyses.db");
  database = new AnalysisDatabase(file);
});
afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A program that uses the database in a process of its own. */
const program = (body: string) => [
  "-e",
  `const { AnalysisDatabase } = require(${JSON.stringify(MODULE)});
   const database = new AnalysisDatabase(${JSON.stringify(file)});
   const request = ${JSON.stringify(REQUEST)};
   ${body}`,
];

test("an analysis is there with all that was asked for, also for who opens the file later", () => {
  const id = database.add(REQUEST);
  database.close();
  database = new AnalysisDatabase(file);
  const { created, ...entry } = database.find(id)!;
  const asked = JSON.parse(JSON.stringify(REQUEST)) as object;
  assert.deepEqual(entry, { ...asked, id, phase: "queued", outcome: undefined, reason: undefined, ended: undefined });
  assert.ok(Math.abs(Date.parse(created) - Date.now()) < 60_000);
  assert.equal(database.find(id + 1), undefined);
});

test("of those that wait, the one with the greatest priority begins first, and is ahead of others that wait for a machine", () => {
  const low = database.add(REQUEST);
  const usual = database.add({ ...REQUEST, priority: 2 });
  const high = database.add({ ...REQUEST, priority: 3 });
  const second = database.add({ ...REQUEST, submission: { by: "a user of a server", priority: 3 } });
  for (const [id, ...others] of [[high, second, usual, low], [second, usual, low], [usual, low], [low]]) {
    for (const other of others) assert.equal(database.begin(other, 9), false);
    assert.equal(database.begin(id!, 9), true);
  }
  const aheadOf = (id: number) => database.listAhead(id).map((entry) => entry.id);
  assert.deepEqual([aheadOf(high), aheadOf(second), aheadOf(usual), aheadOf(low)], [[], [high], [high, second], [high, second, usual]]); // prettier-ignore
  database.setPhase(high, "running");
  database.end(second, "finished", undefined);
  assert.deepEqual(aheadOf(low), [usual]);
  const gone = spawnSync(process.execPath, program("database.begin(database.add({ ...request, priority: 3 }), 9)"));
  assert.equal(gone.status, 0);
  assert.deepEqual(aheadOf(low), [usual], "one whose process is gone holds nobody up");
});

test("analyses begin in their order, and not more at once than the limit", () => {
  const [one, two, three] = [database.add(REQUEST), database.add(REQUEST), database.add(REQUEST)] as const;
  assert.equal(database.begin(two, 2), false);
  assert.deepEqual([database.begin(one, 2), database.begin(two, 2), database.begin(three, 2)], [true, true, false]);
  database.end(one, "finished", "the time was over");
  assert.equal(database.begin(three, 2), true);
});

test("an analysis ends once", () => {
  const id = database.add(REQUEST);
  database.end(id, "cancelled", "Ctrl-C");
  database.end(id, "finished", undefined);
  database.setPhase(id, "running");
  const { phase, outcome, reason } = database.find(id)!;
  assert.deepEqual([phase, outcome, reason], ["ended", "cancelled", "Ctrl-C"]);
});

test("an analysis whose process was killed is lost, says so, and holds nobody up, and one process ends it", async () => {
  const add = "database.begin(database.add(request), 1); console.log('running'); setInterval(() => {}, 1000);";
  const other = spawn(process.execPath, program(add), { stdio: ["ignore", "pipe", "inherit"] });
  await once(other.stdout, "data");
  const own = database.add(REQUEST);
  assert.equal(database.begin(own, 1), false);
  other.kill("SIGKILL");
  await once(other, "exit");
  assert.equal(database.begin(own, 1), true);
  const claimed = database.claimLost();
  assert.deepEqual(claimed.map(({ id, phase }) => [id, phase]), [[own - 1, "waiting for a machine"]]); // prettier-ignore
  assert.deepEqual(database.claimLost(), [], "it is this process' own now");
  database.end(own - 1, "lost", "rebox was gone");
  assert.equal(database.find(own - 1)!.outcome, "lost");
});

test("an analysis is taken over by the process that makes it, and continues when its first one is gone", async () => {
  const add = "console.log(database.add(request)); setInterval(() => {}, 1000);";
  const other = spawn(process.execPath, program(add), { stdio: ["ignore", "pipe", "inherit"] });
  const id = Number(String((await once(other.stdout, "data"))[0]));
  assert.equal(database.takeOver(id).id, id);
  other.kill("SIGKILL");
  await once(other, "exit");
  assert.deepEqual(database.claimLost(), []);
  database.end(id, "finished", undefined);
  assert.throws(() => database.takeOver(id), new RegExp(`there is no analysis ${id} that goes on`));
});

test("processes that add and begin at once get numbers of their own, and the limit holds", async () => {
  const body = `let begun = 0;
    for (let n = 0; n < 25; n++) if (database.begin(database.add(request), 3)) begun++;
    console.log(begun); setTimeout(() => {}, 60000);`;
  const others = [1, 2, 3, 4].map(() =>
    spawn(process.execPath, program(body), { stdio: ["ignore", "pipe", "inherit"] }),
  );
  const begun = await Promise.all(others.map(async (other) => Number(String((await once(other.stdout!, "data"))[0]))));
  const entries = database.list(1000);
  for (const other of others) other.kill("SIGKILL");
  await Promise.all(others.map((other) => other.exitCode === null && other.signalCode === null && once(other, "exit")));
  assert.equal(new Set(entries.map(({ id }) => id)).size, 100);
  assert.equal(
    entries.filter(({ phase }) => phase !== "queued").length,
    begun.reduce((sum, count) => sum + count),
  );
  assert.ok(begun.reduce((sum, count) => sum + count) <= 3);
});

test("a file that is no database is refused", () => {
  const text = join(folder, "text");
  spawnSync("sh", ["-c", `yes text | head -c 10000 > ${text}`]);
  assert.throws(() => new AnalysisDatabase(text), /file is not a database/);
});
