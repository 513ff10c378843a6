import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CancelledError } from "../../src/config/errors";
import { hashFile } from "../../src/config/host-files";
import type { ArtefactStore } from "../../src/lab/cluster/artefact-store";
import { type FolderCluster, openFolderCluster } from "../../src/lab/cluster/folder/folder-cluster";
import {
  findIdentity,
  getGoldenFolder,
  type GoldenManifest,
  GoldenState,
} from "../../src/lab/machinery/golden/golden-state";
import { fetchGolden, findMismatches, listLacking, removeFetched } from "../../src/server/hosts/fetch-golden";
import { PIECE_SIZE, publishGolden } from "../../src/server/hosts/publish-golden";

import { withFolder } from "../kit/lab/lab-folder";
import { quickLab } from "../kit/lab/quick-machinery";

const silent = () => undefined;

describe("a golden state that is published", () => {
  let folder: string;
  let cluster: FolderCluster;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "rebox-golden-"));
    cluster = openFolderCluster("maker", join(folder, "cluster"), true);
  });
  after(async () => {
    await cluster.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Makes a state of three pieces of RAM, of which the second is empty. */
  async function make(lab: string, createdMs: number, last: Buffer): Promise<GoldenState> {
    const disk = join(folder, "disk.img");
    if (!existsSync(disk)) writeFileSync(disk, "the disk below");
    const own = join(getGoldenFolder(join(folder, lab), "office"), "ready");
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, "ram"), Buffer.concat([FIRST, Buffer.alloc(PIECE_SIZE), last]));
    writeFileSync(join(own, "devices"), "devices");
    const files = await Promise.all(["ram", "devices"].map(async (path) => ({ ...findIdentity(join(own, path))!, path, sha256: await hashFile(join(own, path)) }))); // prettier-ignore
    const origin = { qemu: "QEMU 10", args: ["-m", "12"], inputs: [findIdentity(disk)!] };
    const manifest: GoldenManifest = { format: 1, machine: "office", name: "ready", createdMs, ramSize: 12 << 20, origin, files, wayIn: "console", changes: [] }; // prettier-ignore
    writeFileSync(join(own, "golden.json"), JSON.stringify(manifest));
    return GoldenState.read(own);
  }
  const FIRST = randomBytes(PIECE_SIZE);

  test("is fetched by a host as it was, without its empty pieces, and only what is new of the next", async () => {
    const state = await make("maker", 1_000, Buffer.from("the end of the memory"));
    const progress: number[] = [];
    const sent = await publishGolden(cluster, state, (done) => progress.push(done));
    assert.equal(sent, PIECE_SIZE + 21 + 7);
    assert.equal(progress.at(-1), 2 * PIECE_SIZE + 21 + 7);
    const own = join(folder, "host");
    const [published] = listLacking(own, "office", await cluster.golden.list());
    assert.deepEqual([published!.lab, published!.name], ["maker", "ready"]);
    assert.deepEqual(listLacking(own, "spare", await cluster.golden.list()), []);
    const { origin } = state.manifest;
    assert.deepEqual(await findMismatches(published!, origin), []);
    const put = await fetchGolden(cluster.store, own, published!, origin);
    assert.deepEqual(listLacking(own, "office", [published!]), [published], "it is not in its place yet");
    put();
    const fetched = GoldenState.read(join(getGoldenFolder(own, "office"), "ready"));
    assert.deepEqual([await fetched.verify(), await fetched.findDamage()], [[], []]);
    assert.deepEqual(readFileSync(fetched.files.ram), readFileSync(state.files.ram));
    assert.ok(statSync(fetched.files.ram).blocks * 512 < 2 * PIECE_SIZE, "the empty piece is a hole");
    assert.deepEqual(listLacking(own, "office", await cluster.golden.list()), [], "it has it now");
    assert.equal(await publishGolden(cluster, await make("maker", 2_000, Buffer.from("another end")), silent), 11);
    const [newer] = listLacking(own, "office", await cluster.golden.list());
    (await fetchGolden(cluster.store, own, newer!, origin))();
    assert.equal(GoldenState.read(fetched.folder).manifest.createdMs, 2_000);
    assert.deepEqual(await GoldenState.read(fetched.folder).verify(), []);
  });

  test("is left alone by a host whose QEMU, arguments or disk are others", async () => {
    const state = await make("maker", 3_000, Buffer.from("x"));
    await publishGolden(cluster, state, silent);
    const [published] = await cluster.golden.list();
    const { origin } = state.manifest;
    assert.match((await findMismatches(published!, { ...origin, qemu: "QEMU 9", args: ["-m", "13"] })).join("; "), /it was made by QEMU 10; now there is QEMU 9; the machine's arguments have changed: "12" is now "13"/); // prettier-ignore
    const disk = join(folder, "disk.img");
    writeFileSync(disk, "the DISK below");
    assert.deepEqual(await findMismatches(published!, origin), [`the content of ${disk} is another here`]);
    rmSync(disk);
    assert.deepEqual(await findMismatches(published!, origin), [`${disk} is missing here`]);
    writeFileSync(disk, "the disk below");
  });

  test("is not even begun where it does not fit on the disk", async () => {
    const state = await make("maker", 3_500, Buffer.from("z"));
    await publishGolden(cluster, state, silent);
    const [published] = await cluster.golden.list();
    const own = join(folder, "full");
    // Four terabytes, of which the store has not one piece.
    const pieces = Array.from({ length: 1 << 20 }, () => "ab".repeat(32));
    const files = [{ ...published!.files[0]!, size: pieces.length * PIECE_SIZE, pieces }];
    const fetching = fetchGolden(cluster.store, own, { ...published!, files }, state.manifest.origin);
    await assert.rejects(fetching, /the golden state ready of office needs 4194432 MiB, and .*office has \d+ MiB of free space; make room there/); // prettier-ignore
    assert.deepEqual(readdirSync(getGoldenFolder(own, "office")), []);
  });

  test("is fetched no further once that is cancelled, and nothing of it is left", async () => {
    const state = await make("maker", 3_700, Buffer.from("c"));
    await publishGolden(cluster, state, silent);
    const [published] = await cluster.golden.list();
    const own = join(folder, "cancelled");
    const stopping = new AbortController();
    const { store } = cluster;
    let count = 0;
    const counting: ArtefactStore = Object.create(store, {
      get: {
        value: async (...args: Parameters<ArtefactStore["get"]>) => {
          count++;
          await store.get(...args);
          stopping.abort(new CancelledError("the host takes no more"));
        },
      },
    }) as ArtefactStore;
    const fetching = fetchGolden(counting, own, published!, state.manifest.origin, stopping.signal);
    await assert.rejects(fetching, { message: "the host takes no more" });
    assert.deepEqual([count, readdirSync(getGoldenFolder(own, "office"))], [1, []]);
    await assert.rejects(findMismatches(published!, state.manifest.origin, stopping.signal), CancelledError);
    // One whose machine was in use until its host was killed.
    await fetchGolden(store, own, published!, state.manifest.origin);
    assert.deepEqual(readdirSync(getGoldenFolder(own, "office")), [".ready.fetched"]);
    removeFetched(own, "office");
    assert.deepEqual(readdirSync(getGoldenFolder(own, "office")), []);
  });

  test("takes the place of another only while no process uses its machine", async () => {
    await withFolder(quickLab("office"), async (files) => {
      const lab = await files.open();
      try {
        const lease = await lab.takeFree("a test", "office");
        let isPut = false;
        const putting = lab.whileUnused("the host", ["office"], AbortSignal.timeout(60_000), () => (isPut = true));
        await sleep(200);
        assert.equal(isPut, false);
        await lease!.release();
        await putting;
        assert.equal(isPut, true);
        // Nor while somebody starts it by hand, who does not ask whether it is free.
        const hold = files.path("state/office/hold.restoreStart");
        files.write("state/office/hold.restoreStart", "");
        const starting = lab.manager.request("restoreStart", "office");
        while (!existsSync(files.path("state/office/held.restoreStart"))) await sleep(5);
        isPut = false;
        const behind = lab.whileUnused("the host", ["office"], AbortSignal.timeout(60_000), () => (isPut = true));
        await sleep(200);
        assert.equal(isPut, false);
        rmSync(hold);
        assert.equal((await starting).success, true);
        await behind;
        assert.equal(isPut, true);
        await lab.manager.request("stop", "office");
        const again = await lab.takeFree("a test", "office");
        assert.notEqual(again, undefined, "it is free behind that");
        const stopping = new AbortController();
        const waiting = lab.whileUnused("the host", ["office"], stopping.signal, () => assert.fail("it is in use"));
        stopping.abort();
        await assert.rejects(waiting, CancelledError);
        await again!.release();
      } finally {
        await lab.close();
      }
    });
  });

  test("is not there when a piece is missing or another, and is withdrawn by its name", async () => {
    const state = await make("maker", 4_000, Buffer.from("y"));
    await publishGolden(cluster, state, silent);
    const [published] = await cluster.golden.list();
    const [first] = published!.files[0]!.pieces;
    const piece = join(folder, "cluster/objects/content", first!.slice(0, 2), first!);
    writeFileSync(piece, Buffer.alloc(PIECE_SIZE, 7));
    const own = join(folder, "third");
    await assert.rejects(fetchGolden(cluster.store, own, published!, state.manifest.origin), /the content of content\/.* is not what was put there/); // prettier-ignore
    rmSync(piece);
    await assert.rejects(fetchGolden(cluster.store, own, published!, state.manifest.origin), /has no content\//);
    assert.deepEqual(listLacking(own, "office", [published!]), [published], "nothing is left of it");
    for (const name of ["../out", ".hidden"])
      await assert.rejects(fetchGolden(cluster.store, own, { ...published!, name }, state.manifest.origin), /that is none/); // prettier-ignore
    const files = [{ ...published!.files[0]!, path: "../../out" }];
    await assert.rejects(
      fetchGolden(cluster.store, own, { ...published!, files }, state.manifest.origin),
      /that is none/,
    );
    assert.deepEqual([await cluster.golden.withdraw("office", "ready"), await cluster.golden.withdraw("office", "ready")], [true, false]); // prettier-ignore
    assert.deepEqual(await cluster.golden.list(), []);
  });
});
