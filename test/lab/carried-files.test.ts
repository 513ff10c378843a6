import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ArtefactStore } from "../../src/lab/cluster/artefact-store";
import type { TakenAttempt } from "../../src/lab/cluster/analysis-queue";
import { FolderStore } from "../../src/lab/cluster/folder/folder-store";
import { ClusterError, MissingFileError, StoredFileError } from "../../src/lab/errors";
import { AttemptInputs } from "../../src/server/hosts/attempt-inputs";
import { getResults, putResults } from "../../src/server/hosts/carry-files";

const SHA256 = createHash("sha256").update("loot").digest("hex");

describe("files that travel between the labs and hosts of a cluster", () => {
  let folder: string;
  let store: FolderStore;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "rebox-carried-"));
    store = new FolderStore(join(folder, "objects"));
    writeFileSync(join(folder, "loot"), "loot");
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const collect = (to: string, ...names: readonly string[]) =>
    getResults(store, join(folder, to), { id: "one", attempt: 1, files: names.map((name) => ({ name, size: 4, sha256: SHA256 })) }); // prettier-ignore

  test("are refused by names that no folder can have, and nothing is left of them", async () => {
    await store.put("analyses/one/1/a", join(folder, "loot"));
    for (const names of [
      ["../a"],
      ["/a"],
      ["a/"],
      ["a//b"],
      [".a"],
      ["b/./a"],
      ["a\0"],
      ["x".repeat(256)],
      ["a", "a/b"],
      ["a", "a"],
      [""],
    ])
      await assert.rejects(collect("results", ...names), StoredFileError, JSON.stringify(names));
    await assert.rejects(collect("results", "a", "b"), MissingFileError);
    assert.deepEqual(readdirSync(folder).toSorted(), ["loot", "objects"]);
    await collect("results", "a");
    assert.deepEqual(readdirSync(join(folder, "results")), ["a"]);
    mkdirSync(join(folder, "delivered/deep"), { recursive: true });
    writeFileSync(join(folder, "delivered/deep/a"), "loot");
    assert.deepEqual((await putResults(store, join(folder, "delivered"), "two", 1)).map(({ name }) => name), ["deep/a"]); // prettier-ignore
  });

  test("stay away once one of them has failed: none comes behind the error", async () => {
    const begun: string[] = [];
    let ended = 0;
    const slow: Pick<ArtefactStore, "get"> = {
      get: async (key) => {
        begun.push(key);
        if (begun.length === 1) throw new MissingFileError("away");
        await sleep(20);
        ended++;
      },
    };
    const files = Array.from({ length: 50 }, (_, at) => ({ name: `f${at}`, size: 4, sha256: SHA256 }));
    await assert.rejects(getResults(slow as ArtefactStore, join(folder, "slow"), { id: "one", attempt: 1, files }), /away/); // prettier-ignore
    assert.ok(begun.length <= 8, `${begun.length} have begun`);
    assert.equal(ended, begun.length - 1);
  });

  test("do not lead out of the folder of a host by what another lab calls their hash", async () => {
    const lab = join(folder, "lab");
    const inputs = new AttemptInputs(lab, store);
    const taken = (sha256: string, id = "one") =>
      ({ id, attempt: 1, machine: "office", submission: { origin: "front", number: 1, request: {}, target: { name: "sample", size: 4, sha256 }, scripts: [] } }) as unknown as TakenAttempt; // prettier-ignore
    await assert.rejects(inputs.fetch(taken("../../../../outside")), ClusterError);
    assert.equal(existsSync(join(folder, "outside")), false);
    await store.put(`content/${SHA256.slice(0, 2)}/${SHA256}`, join(folder, "loot"));
    for (const id of ["one", "two"]) assert.ok(existsSync((await inputs.fetch(taken(SHA256, id))).target!));
    await assert.rejects(inputs.fetch(taken("ab".repeat(32), "three")), MissingFileError);
    assert.deepEqual(readdirSync(join(lab, "server/inputs")).toSorted(), ["one-1", "two-1"]);
    inputs.keepOnly([taken(SHA256, "two")]);
    assert.deepEqual(readdirSync(join(lab, "server/inputs")), ["two-1"]);
  });

  test("are put while another process removes what is empty", async () => {
    const puts = Array.from({ length: 40 }, async (_, at) => store.put(`races/${at % 3}/${at}`, join(folder, "loot")));
    const removes = Array.from({ length: 40 }, async (_, at) => store.remove([`races/${at % 3}/none`]));
    await Promise.all([...puts, ...removes]);
    assert.equal((await store.list("races/")).length, 40);
    await store.remove(await store.list("races/"));
    assert.equal(existsSync(join(folder, "objects/races")), false);
  });
});
