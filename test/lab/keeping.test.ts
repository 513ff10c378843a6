import assert from "node:assert/strict";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, test } from "node:test";
import { getAnalysisFolder, openDatabase } from "../../src/lab/analysis/analysis-places";
import { ServedQueue } from "../../src/lab/analysis/queue/served-queue";
import { AnalysisSearch } from "../../src/lab/analysis/search/search-analyses";
import { findClusterSettings } from "../../src/lab/cluster/cluster-settings";
import { openFolderCluster } from "../../src/lab/cluster/folder/folder-cluster";
import { backupLab, restoreLab } from "../../src/lab/keeping/backup-lab";
import { measureFolder } from "../../src/lab/keeping/choose-old";
import { removeOld } from "../../src/lab/keeping/remove-old";
import { HandedIn } from "../../src/server/hosts/handed-in";
import { pruneLab } from "../../src/server/hosts/prune-lab";
import { type FolderLab, withFolder } from "../kit/lab/lab-folder";
import { runRebox } from "../kit/guests/guest-run";
import { addAnalysis, type MadeAnalysis, VERDICT } from "../kit/server/made-analysis";

const LIMIT_MS = 60_000;
const DAY_MS = 86_400_000;
const silent = () => undefined;

/** Adds analyses that have ended so many days ago. */
function add(
  lab: FolderLab,
  ...made: readonly (MadeAnalysis & { readonly daysAgo?: number; readonly size?: number })[]
): number[] {
  // prettier-ignore
  const database = openDatabase(lab.folder);
  try {
    return made.map(({ daysAgo = 0, size = 0, ...each }) => {
      const id = addAnalysis(lab.folder, database, each);
      database.connection.prepare("UPDATE analyses SET ended = ? WHERE id = ?").run(new Date(Date.now() - daysAgo * DAY_MS).toISOString(), id); // prettier-ignore
      if (size > 0) writeFileSync(join(getAnalysisFolder(lab.folder, id), "dump"), Buffer.alloc(size, 1));
      return id;
    });
  } finally {
    database.close();
  }
}

function listIds(folder: string): number[] {
  const database = openDatabase(folder);
  try {
    return new AnalysisSearch(database).list({}, 100).map(({ id }) => id).toReversed(); // prettier-ignore
  } finally {
    database.close();
  }
}

describe("rebox lab prune", () => {
  test("removes by age, verdict and size, with targets that nothing else has", async () => {
    await withFolder({}, async (lab) => {
      add(lab, { content: "old", daysAgo: 40 }, { content: "shared", daysAgo: 40 }, { content: "bad", verdict: VERDICT, daysAgo: 40 }, { content: "shared" }, { content: "large", size: 3 << 20 }); // prettier-ignore
      const queued = openDatabase(lab.folder);
      const waiting = new ServedQueue(queued).add({ machine: undefined, target: undefined, command: "true", options: {}, timeoutS: 1, scripts: [] }); // prettier-ignore
      queued.close();
      const run = (...args: readonly string[]) => runRebox(["lab", "prune", "--lab", lab.folder, ...args], LIMIT_MS);
      assert.match((await run()).stderr, /say which: --older-than, --larger-than, --verdict or --keep/);
      const trial = await run("--older-than", "30", "--verdict", "none", "--dry-run");
      assert.match(trial.stdout, /^1 +20\d\d-.* none [^]*^2 [^]*2 analyses of .* MiB would be removed$/m);
      assert.deepEqual(listIds(lab.folder), [1, 2, 3, 4, 5, waiting]);
      const answer = await run("--older-than", "30", "--verdict", "none", "--json");
      assert.deepEqual((JSON.parse(answer.stdout) as { analyses: { id: number }[] }).analyses.map(({ id }) => id), [1, 2], answer.stderr); // prettier-ignore
      assert.deepEqual(listIds(lab.folder), [3, 4, 5, waiting]);
      assert.equal(existsSync(getAnalysisFolder(lab.folder, 1)), false);
      const contents = readdirSync(lab.path("samples")).map((hash) => readFileSync(join(lab.path("samples"), hash, "sample"), "utf8")); // prettier-ignore
      assert.deepEqual(contents.toSorted(), ["bad", "large", "shared"]);
      const { old } = await pruneLab(lab.folder, { largerThan: 2 << 20 }, false, silent);
      assert.deepEqual(old.map(({ found }) => found.id), [5]); // prettier-ignore
      assert.ok(old[0]!.size >= 3 << 20);
      // The newest are kept as long as there is room.
      const [oldest, older] = add(lab, ...["x", "y", "z"].map((content) => ({ content, size: 3 << 20 })));
      const room = await pruneLab(lab.folder, { keeps: 4 << 20, largerThan: 2 << 20 }, true, silent);
      assert.deepEqual(room.old.map(({ found }) => found.id), [oldest, older]); // prettier-ignore
      // The archive that one was taken out of stays as long as another one is of it.
      const archives = add(lab, { content: "an archive" }, { content: "an archive" });
      const facts = openDatabase(lab.folder);
      for (const [at, id] of archives.entries()) facts.connection.prepare("UPDATE facts SET sha256 = ? WHERE id = ?").run(String(at).repeat(64), id); // prettier-ignore
      facts.close();
      const listArchives = () => readdirSync(lab.path("samples")).filter((hash) => readdirSync(join(lab.path("samples"), hash)).some((name) => readFileSync(join(lab.path("samples"), hash, name), "utf8") === "an archive")); // prettier-ignore
      const removeOne = (id: number) => {
        const database = openDatabase(lab.folder);
        try {
          removeOld(lab.folder, database, { found: new AnalysisSearch(database).find(id)!, size: 0 });
        } finally {
          database.close();
        }
      };
      removeOne(archives[0]!);
      assert.equal(listArchives().length, 1);
      removeOne(archives[1]!);
      assert.deepEqual(listArchives(), []);
      await pruneLab(lab.folder, { keeps: 0 }, false, silent);
      assert.deepEqual(listIds(lab.folder), [waiting], "one that waits is never removed");
    });
  });

  test("removes from the cluster of a lab what the lab has no more, and contents that nobody needs", async () => {
    const place = mkdtempSync(join(tmpdir(), "rebox-folder-cluster-"));
    const cluster = openFolderCluster("front", place, true);
    try {
      await withFolder({ "conf/cluster.yaml": `lab: front\nfolder: ${place}\n` }, async (lab) => {
        const [kept, gone] = add(lab, {}, { daysAgo: 3 }) as [number, number];
        lab.write("file", "content");
        const names: string[] = [];
        for (const number of [kept, gone]) {
          const request = { machine: undefined, target: undefined, command: "true", options: {}, timeoutS: 1, scripts: [] }; // prettier-ignore
          names.push(await cluster.queue.submit({ origin: "front", number, request, target: undefined, scripts: [] }));
          const attempt = (await cluster.queue.take({ host: "one", machine: "office", fits: () => true }))!;
          await cluster.store.put(`analyses/${attempt.id}/1/report.json`, lab.path("file"));
          await cluster.queue.finish(attempt, { outcome: "finished", reason: undefined, files: [] });
        }
        await cluster.queue.markCollected(names);
        const target = { name: "file", size: 7, sha256: "ab".repeat(32) };
        const request = { machine: undefined, target: undefined, command: undefined, options: {}, timeoutS: 1, scripts: [] }; // prettier-ignore
        await cluster.queue.submit({ origin: "other", number: 1, request, target, scripts: [] });
        for (const name of ["ab", "cd", "ef"]) await cluster.store.put(`content/${name}/${name.repeat(32)}`, lab.path("file")); // prettier-ignore
        const age = (name: string) => agedFile(join(place, `objects/content/${name}/${name.repeat(32)}`)); // prettier-ignore
        age("ab");
        age("cd");
        const database = openDatabase(lab.folder);
        const handedIn = new HandedIn(database);
        for (const [at, number] of [kept, gone].entries()) handedIn.add(number, names[at]!);
        const { stored } = await pruneLab(lab.folder, { olderThanDays: 1 }, false, silent);
        assert.equal(stored, 2);
        assert.deepEqual([kept, gone].map((number) => handedIn.findName(number)), [names[0], undefined]); // prettier-ignore
        database.close();
        assert.deepEqual((await cluster.store.list("")).toSorted(), [`analyses/${names[0]}/1/report.json`, `content/ab/${"ab".repeat(32)}`, `content/ef/${"ef".repeat(32)}`].toSorted()); // prettier-ignore
        assert.deepEqual((await cluster.queue.list({ origin: "front" })).map(({ id }) => id), [names[0]]); // prettier-ignore
      });
    } finally {
      await cluster.close();
      rmSync(place, { recursive: true, force: true });
    }
  });
});

/** Makes a file as old as two days. */
function agedFile(path: string): void {
  const time = new Date(Date.now() - 2 * DAY_MS);
  utimesSync(path, time, time);
}

describe("a golden state that recordings begin from", () => {
  /** Makes analyses with recordings, whose golden state is one file with many names. */
  const record = (lab: FolderLab, size: number): readonly [golden: string, kept: readonly string[]] => {
    const ids = add(lab, { content: "one" }, { content: "two" });
    const golden = lab.path("golden/office/ready/ram");
    mkdirSync(lab.path("golden/office/ready"), { recursive: true });
    writeFileSync(golden, Buffer.alloc(size, 1));
    const kept = ids.map((id) => join(getAnalysisFolder(lab.folder, id), "recording/start/ram"));
    for (const path of kept) {
      mkdirSync(join(path, ".."), { recursive: true });
      linkSync(golden, path);
    }
    return [golden, kept];
  };

  /** File systems have blocks, and of a file's extents some more. */
  const isAbout = (bytes: number, expected: number) => Math.abs(bytes - expected) < 64 << 10;

  test("counts in each of them as the part that it is of its names", async () => {
    await withFolder({}, (lab) => {
      const size = 3 << 20;
      const [golden, kept] = record(lab, size);
      for (const path of kept) assert.ok(isAbout(measureFolder(join(path, "..")), size / 3));
      rmSync(golden);
      for (const path of kept) assert.ok(isAbout(measureFolder(join(path, "..")), size / 2));
      // With all of its names in one folder it counts once.
      assert.ok(measureFolder(lab.path("analyses")) < 2 * size);
      return Promise.resolve();
    });
  });

  test("is there once in a backup, in the next one, and in the lab that is made of it", async () => {
    await withFolder({ "conf/lab.yaml": "max_analyses_count: 3\n" }, async (lab) => {
      const size = 3 << 20;
      const [golden, kept] = record(lab, size);
      const [backup, restored] = [lab.path("kept/backup"), lab.path("kept/restored")];
      const listInodes = (folder: string, paths: readonly string[]) => new Set(paths.map((path) => statSync(join(folder, path.slice(lab.folder.length))).ino)); // prettier-ignore
      for (const withGolden of [false, true, true]) {
        const { size: whole } = await backupLab(lab.folder, backup, { withGolden });
        assert.ok(whole >= size && whole < 2 * size, String(whole));
        assert.equal(listInodes(backup, withGolden ? [golden, ...kept] : kept).size, 1);
      }
      await restoreLab(backup, restored);
      assert.equal(listInodes(restored, [golden, ...kept]).size, 1);
      for (const path of kept) assert.deepEqual(readFileSync(join(restored, path.slice(lab.folder.length))), Buffer.alloc(size, 1)); // prettier-ignore
      // A first file that has gone leaves the others whole.
      rmSync(kept[0]!);
      await backupLab(lab.folder, backup);
      rmSync(restored, { recursive: true });
      await restoreLab(backup, restored);
      assert.equal(statSync(join(restored, kept[1]!.slice(lab.folder.length))).size, size);
    });
  });
});

describe("rebox lab backup and restore", () => {
  test("copy a lab that is used, again with what is new alone, and make a lab of it that is the same", async () => {
    await withFolder(
      {
        "conf/lab.yaml": "max_analyses_count: 3\n",
        "golden/office/ready/ram": "large",
        "modules/quick/data.db": "of a module",
      },
      async (lab) => {
        add(lab, { content: "one", artefacts: { "/tmp/x": "loot" } }, { content: "two", verdict: VERDICT });
        const database = openDatabase(lab.folder);
        const running = database.add({ machine: undefined, target: undefined, command: "true", options: {}, timeoutS: 1, scripts: [] }); // prettier-ignore
        lab.write(`analyses/${running}/events.jsonl`, "half a li");
        const [backup, restored] = [lab.path("../backup-of-a-test"), lab.path("../restored-by-a-test")].map((path) => `${path}-${process.pid}`) as [string, string]; // prettier-ignore
        try {
          const run = (...args: readonly string[]) => runRebox(["lab", ...args], LIMIT_MS);
          const first = await run("backup", backup, "--lab", lab.folder);
          assert.match(first.stdout, /has \d+ files of \d+\.\d MiB/, first.stderr);
          assert.equal(readFileSync(join(backup, "modules/quick/data.db"), "utf8"), "of a module");
          assert.deepEqual([existsSync(join(backup, "golden")), existsSync(join(backup, `analyses/${running}`))], [false, false]); // prettier-ignore
          const inode = () => statSync(join(backup, "analyses/1/report.json")).ino;
          const before = inode();
          add(lab, { content: "three" });
          await backupLab(lab.folder, backup);
          assert.equal(inode(), before, "what has not changed is there once");
          assert.deepEqual(readdirSync(join(backup, "..")).filter((name) => name.startsWith("backup-of-a-test") && name.includes(String(process.pid))), [backup.split("/").at(-1)]); // prettier-ignore
          database.close();
          assert.equal((await run("restore", backup, restored)).status, 0);
          assert.deepEqual(listIds(restored), [1, 2, running, 4]);
          for (const id of [1, 2, 4]) for (const name of readdirSync(getAnalysisFolder(lab.folder, id)).filter((each) => each.endsWith(".json"))) assert.deepEqual(readFileSync(join(getAnalysisFolder(restored, id), name)), readFileSync(join(getAnalysisFolder(lab.folder, id), name))); // prettier-ignore
          assert.equal(readFileSync(join(restored, "conf/lab.yaml"), "utf8"), "max_analyses_count: 3\n");
          const found = openDatabase(restored);
          assert.deepEqual(new AnalysisSearch(found).list({ judgement: "malicious" }, 9).map(({ id }) => id), [2]); // prettier-ignore
          found.close();
          assert.match((await run("restore", backup, restored)).stderr, /has something in it; a lab is restored into a new folder/); // prettier-ignore
          assert.match((await run("backup", restored, "--lab", lab.folder)).stderr, /is there, and no backup/);
          rmSync(restored, { recursive: true });
          writeFileSync(join(backup, "analyses/1/report.json"), "{}");
          assert.match((await run("restore", backup, restored)).stderr, /the content of .*report\.json has changed since the backup was made/); // prettier-ignore
          assert.deepEqual(readdirSync(join(restored, "..")).filter((name) => name.includes(basename(restored))), []); // prettier-ignore
        } finally {
          for (const path of [backup, restored]) rmSync(path, { recursive: true, force: true });
        }
      },
    );
  });

  test("leave folders of somebody else alone, and go on where one was killed", async () => {
    await withFolder({ "conf/lab.yaml": "max_analyses_count: 3\n" }, async (lab) => {
      const backup = lab.path("kept/backup");
      for (const name of ["old", "new"]) lab.write(`kept/backup.${name}/mine`, "of somebody");
      await backupLab(lab.folder, backup);
      await backupLab(lab.folder, backup);
      // Killed between its two renames, and in the middle of another copy.
      const inode = () => statSync(join(backup, "conf/lab.yaml")).ino;
      const before = inode();
      renameSync(backup, lab.path("kept/.backup.rebox-new-abcdef-before"));
      lab.write("kept/.backup.rebox-new-ghijkl/conf/lab.yaml", "half");
      await assert.rejects(backupLab(lab.folder, lab.path("kept/backup.old")), /is there, and no backup/);
      await backupLab(lab.folder, backup);
      assert.equal(inode(), before, "the one of before was found again");
      assert.deepEqual(readdirSync(lab.path("kept")).toSorted(), ["backup", "backup.new", "backup.old"]);
      for (const name of ["old", "new"]) assert.equal(lab.read(`kept/backup.${name}/mine`), "of somebody");
    });
  });

  test("make of a lab of a cluster another one, which hands in anew what had not ended", async () => {
    const settings = `# by hand\nlab: front\nfolder: /srv/cluster\n`;
    await withFolder({ "conf/cluster.yaml": settings }, async (lab) => {
      const [id] = add(lab, {}) as [number];
      const database = openDatabase(lab.folder);
      database.connection.exec("CREATE TABLE handed_in (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;");
      database.connection.prepare("INSERT INTO handed_in VALUES (?, 'of the first')").run(id);
      database.close();
      const [backup, restored] = [lab.path("kept/backup"), lab.path("kept/restored")];
      await backupLab(lab.folder, backup);
      await restoreLab(backup, restored);
      const { lab: name, ...rest } = findClusterSettings(restored)!;
      assert.notEqual(name, "front");
      assert.deepEqual(rest, { folder: "/srv/cluster" });
      const again = openDatabase(restored);
      assert.deepEqual(again.connection.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'handed_in'").all(), []);
      again.close();
      assert.equal(findClusterSettings(lab.folder)!.lab, "front");
    });
  });
});
