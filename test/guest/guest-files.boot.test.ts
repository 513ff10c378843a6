import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { SLOWNESS } from "../kit/guests/guest-run";
import { type FilesRun, lookAtFiles } from "../kit/systems/guest-files-run";
import { listKits } from "../kit/guests/guest-kits";

/** Walks the disk's file system, and reads every file; then a few things one by one. */
const LOOK = `
  const files = await GuestFiles.open();
  const seen: any[] = [];
  const walk = async (path: string): Promise<void> => {
    const { places, problems } = await files.list((await files.find(path))!);
    for (const problem of problems) seen.push({ problem });
    for (const place of places) {
      const { facts, kind } = place;
      seen.push({ ...facts, kind, path: place.path, source: place.source });
      if (kind === "directory") await walk(place.path);
    }
  };
  await walk("/mnt");
  const programs = (await files.list((await files.find("/bin"))!)).places.map(({ path, source }) => ({ path, source }));
  await files.close();
  const systems = await getFilesystems();
  const { createHash } = require("node:crypto");
  const sums: Record<string, string> = {};
  let behindEnd: number | undefined;
  for (const { path, kind } of seen.filter(({ kind }) => kind === "file")) {
    const file = await openGuestPath(0, path.slice("/mnt".length)) as GuestFile;
    const hash = createHash("sha256");
    for (;;) {
      const piece = await file.read(200_001);
      hash.update(piece);
      if (piece.length < 200_001) break;
    }
    behindEnd ??= (await file.read(1)).length;
    sums[path] = hash.digest("hex");
  }
  const first = await openGuestPath(0, "tree/link") as GuestFile;
  first.seek(2);
  const piece = String(await first.read(3));
  const onDisk = {
    fresh: await openGuestPath(0, "/late/fresh.txt", { source: "disk" }) === undefined,
    removed: await openGuestPath(0, "/tree/removed.txt", { source: "disk" }) instanceof GuestFile,
  };
  const attempt = (act: Promise<unknown>) => act.then(() => "nothing", (error) => error.name + ": " + error.message);
  const errors = {
    loop: await attempt(openGuestPath(0, "/tree/loop")),
    index: await attempt(openGuestPath(7, "/")),
    seek: await attempt((async () => first.seek(-1))()),
  };
  return {
    seen, sums, behindEnd, systems, programs, onDisk, errors, piece,
    offset: first.offset, size: first.size, name: first.name, modified: first.modified.getTime(), mode: first.mode,
    through: (await openGuestPath(0, "/tree/dirlink/deep/deeper/leaf.txt") as GuestFile).size,
    dangling: await openGuestPath(0, "/tree/dangling") === undefined,
    below: await openGuestPath(0, "/tree/first.txt/x") === undefined,
    many: (await openGuestPath(0, "/many") as any[]).length,
    engine: Engine.get().state,
  };
`;

for (const kit of listKits().filter(({ architecture }) => architecture === "amd64")) {
  describe(`the files of a guest with Linux ${kit.release}`, { timeout: 240_000 * SLOWNESS }, () => {
    let run: FilesRun;
    before(async () => {
      // A disk as a whole, and a partition of one.
      run = await lookAtFiles(kit, LOOK, { isPartition: !kit.release.startsWith("6.1.") });
    });

    test("are those that find lists", () => {
      const expected = run.report.lines("/tmp/names").filter((name) => name !== ".");
      const actual = run.found.seen.map(({ path }: { path: string }) => path.replace("/mnt", "."));
      assert.ok(expected.length > 320);
      assert.deepEqual(actual.toSorted(), expected.toSorted());
    });

    test("are what stat tells of each", () => {
      const expected = run.report.lines("/tmp/stats").filter((line) => !line.startsWith(".|"));
      const actual = run.found.seen.map((one: Record<string, string | number>) =>
        [
          String(one["path"]).replace("/mnt", "."),
          one["size"],
          Number(one["mode"]).toString(16),
          one["uid"],
          one["gid"],
          BigInt(one["modifiedNs"]!) / 1_000_000_000n,
          one["inode"],
          one["links"],
        ].join("|"),
      );
      assert.deepEqual(actual.toSorted(), expected.toSorted());
    });

    test("have the content that sha256sum sees", () => {
      const expected = run.report.lines("/tmp/sums").map((line) => line.replace("  ./", " /mnt/"));
      const actual = Object.entries(run.found.sums).map(([path, sum]) => `${String(sum)} ${path}`);
      assert.deepEqual(actual.toSorted(), expected.toSorted());
    });

    test("are read from the disk with what the kernel has not written yet", () => {
      assert.deepEqual([...new Set(run.found.seen.map(({ source }: { source: string }) => source))], ["disk+memory"]);
      assert.deepEqual(run.found.onDisk, { fresh: true, removed: true });
    });

    test("are read from memory where there is no disk", () => {
      const expected = run.report.lines("/tmp/programs").map((name) => `/bin/${name}`);
      const programs = run.found.programs as { path: string; source: string }[];
      assert.deepEqual(programs.map(({ path }) => path).sort(), expected.sort());
      assert.deepEqual([...new Set(programs.map(({ source }) => source))], ["memory"]);
    });

    test("are opened by path, read in pieces, through links, while the guest runs", () => {
      const { found } = run;
      assert.deepEqual([found.piece, found.offset, found.size, found.name], ["llo", 5, 25, "link"]);
      assert.equal(found.modified, 1e12);
      assert.equal(found.mode, 0o100640);
      assert.equal(found.through, 29);
      assert.equal(found.behindEnd, 0);
      assert.equal(found.many, 300);
      assert.ok(found.dangling && found.below);
      assert.match(found.errors.loop, /^DiskError: .*more than 40 symbolic links/);
      assert.match(found.errors.index, /^RangeError: there is no file system 7/);
      assert.match(found.errors.seek, /^RangeError/);
      assert.equal(found.engine, "running");
      assert.equal(run.stderr, "");
    });

    test("lie on a file system that says what it is", () => {
      const [system, ...others] = run.found.systems;
      assert.deepEqual(others, []);
      const { index, type, size, disk, mountedAt, isReadable } = system;
      assert.deepEqual([index, type, size, disk, mountedAt, isReadable], [0, "ext4", 2 ** 26, "virtio0", "/mnt", true]);
      assert.match(system.uuid, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assert.equal(system.partition, kit.release.startsWith("6.1.") ? undefined : 2);
    });
  });
}
