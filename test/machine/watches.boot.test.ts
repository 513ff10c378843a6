import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { makeExt4, writeTree } from "../kit/guests/disk-image";
import { listKits } from "../kit/guests/guest-kits";
import { runGuest, scriptPrelude, SLOWNESS } from "../kit/guests/guest-run";
import { INVESTIGATE } from "../kit/investigations/investigate-prelude";

/** What the guest does once both modules watch it; a directory that is not watched besides. */
const RUN = `
waitgo watch
echo x > /mnt/watched/new
echo y >> /mnt/watched/deep/old
echo z >> /mnt/watched/deep/old
mv /mnt/watched/new /mnt/watched/renamed
rm /mnt/watched/renamed
echo again > /mnt/watched/renamed
ln -s old /mnt/watched/deep/link
rm -r /mnt/watched/deep
rmdir /mnt/watched 2> /dev/null
rm -r /mnt/watched
mkdir /mnt/watched
echo back > /mnt/watched/file
echo not-seen > /mnt/other/file
echo seen > /mnt/flat/file
echo not-seen > /mnt/flat/deep/file
echo on-tmpfs > /tmp/single
/bin/sleep 0.01
/bin/sh -c '/bin/sleep 0.02; true'
/bin/sh -c '/bin/sleep 0.3; true'
/bin/sh -c '/bin/usleep 1; true'
truth watch.ended 1
while :; do sleep 1000; done
`;

const FSWATCH = `
[fswatch]
suppress = 900
[paths]
path = recursive:/mnt/watched
path = /mnt/flat
path = /tmp/single
path = /nowhere/at/all
`;

const PROCWATCH = `
[procwatch]
name = ^(sleep|sh)$
parent = ^sh$
commandline = sleep 0\\.0
level = high
`;

const SCRIPT = (serial: string): string => `
  import { CallbackManager, Engine, getRunningProcess, writeVa } from "rebox";
  ${scriptPrelude(serial)}
  ${INVESTIGATE}
  const ask = (module: string) => investigate(module, {});
  let callbacks: CallbackManager;
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    callbacks = new CallbackManager(handle);
    void (async () => {
      const truth = await untilTruth("watch.waits");
      while (!(await ask("fswatch")).elements?.iswatching) await new Promise((done) => setTimeout(done, 20));
      const name = callbacks.addCallback("BLOCK_BEGIN_CB", (index) => {
        writeVa(getRunningProcess(index), BigInt(truth.get("watch.go")!), Buffer.from([1, 0, 0, 0]));
        callbacks.rmCallback(name);
      }, { addr: BigInt(truth.get("watch.poll")!) });
      await untilTruth("watch.ended");
      for (const module of ["fswatch", "procwatch"]) print(JSON.stringify(await ask(module)));
    })().catch((error) => print(String(error.stack))).finally(() => Engine.get().quit());
  }
  export const clean = (): void => callbacks.clean();
`;

for (const kit of listKits().filter(({ architecture }) => architecture === "amd64")) {
  describe(`what is watched in a guest with Linux ${kit.release}`, { timeout: 240_000 * SLOWNESS }, () => {
    let alerts: { file: string[]; process: string[] };
    let answers: { statistics: Record<string, number>; elements: Record<string, unknown>; success: boolean }[];
    let stderr: string;

    before(async () => {
      const folder = mkdtempSync(join(tmpdir(), "rebox-watch-"));
      try {
        const [tree, image, conf] = [join(folder, "tree"), join(folder, "disk.img"), join(folder, "conf")];
        writeTree(folder, { "conf/fswatch.cfg": FSWATCH, "conf/procwatch.cfg": PROCWATCH });
        writeTree(tree, { "run.sh": RUN, "watched/deep/old": "old\n", "flat/deep/file": "1\n", "other/file": "2\n" });
        makeExt4(image, tree);
        const run = await runGuest({
          task: "disk",
          kit,
          trust: true,
          script: SCRIPT,
          reboxArgs: ["--investigate", "fswatch", "--investigate", "procwatch", "--investigate-conf", conf],
          qemuArgs: ["-drive", `file=${image},if=virtio,format=raw`],
          timeoutMs: 180_000,
        });
        stderr = run.stderr;
        const told = (module: string): string[] =>
          [...stderr.matchAll(new RegExp(`alert of ${module}: (.*)`, "g"))].map(([, text]) => text!);
        alerts = { file: told("fswatch"), process: told("procwatch") };
        answers = run.messages.map((text) => JSON.parse(text));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });

    test("is told once for each object and kind of change, with who did it", () => {
      const told = alerts.file.map((text) => text.replace(/ by (\S+) \(\d+\)$/, " by $1"));
      // In which order rm goes through a directory is the file system's.
      const emptied = [8, 9];
      assert.deepEqual(
        emptied.map((index) => told[index]).sort(),
        ["link", "old"].map((name) => `[low] /mnt/watched/deep/${name} path removed by rm`),
      );
      assert.deepEqual(
        told.filter((_, index) => !emptied.includes(index)),
        [
          "[high] /mnt/watched/new created by init",
          "[critical] /mnt/watched/new changed: written by init",
          // The second line within the window is not told.
          "[critical] /mnt/watched/deep/old changed: written by init",
          "[medium] /mnt/watched/new renamed to /mnt/watched/renamed by mv",
          "[low] /mnt/watched/renamed path removed by rm",
          // What is made anew is another file.
          "[high] /mnt/watched/renamed created by init",
          "[critical] /mnt/watched/renamed changed: written by init",
          "[high] /mnt/watched/deep/link created by ln",
          "[low] /mnt/watched/deep path removed by rm",
          "[low] /mnt/watched/renamed path removed by rm",
          // The directory itself goes, once, not when rmdir fails; what takes its place is watched like it.
          "[low] /mnt/watched path removed by rm",
          "[high] /mnt/watched created by mkdir",
          "[high] /mnt/watched/file created by init",
          "[critical] /mnt/watched/file changed: written by init",
          // Of what is watched without its directories, those are left out; a path that is not there does no harm.
          "[high] /mnt/flat/file created by init",
          "[critical] /mnt/flat/file changed: written by init",
          "[high] /tmp/single created by init",
          "[critical] /tmp/single changed: written by init",
        ],
      );
    });

    test("is counted, and told when it is asked for", () => {
      const [fswatch, procwatch] = answers;
      assert.ok(fswatch?.success && procwatch?.success);
      const { alerts: count, suppressed, events, unreadable } = fswatch.statistics;
      assert.deepEqual([count, suppressed, unreadable], [20, 1, 0]);
      assert.ok(events! > 21);
      const watched = ["recursive:/mnt/watched", "/mnt/flat", "/tmp/single", "/nowhere/at/all"];
      assert.deepEqual(fswatch.elements, { ok: true, iswatching: true, paths: watched });
      assert.equal(procwatch.statistics["alerts"], alerts.process.length);
      assert.ok(procwatch.statistics["processes"]! > 10);
    });

    test("are processes that fit all filters, with what they are called with", () => {
      const commands = alerts.process.map((text) =>
        /^\[high\] process (\S+) \(\d+\) began: (.*)$/.exec(text)!.slice(1).join(": "),
      );
      assert.deepEqual(commands, [
        // A shell's child is a shell before it is the program.
        "sh: path=/bin/busybox uid=0 parent=sh command=/bin/sh -c /bin/sleep 0.02; true",
        "sleep: path=/bin/busybox uid=0 parent=sh command=/bin/sleep 0.02",
      ]);
    });

    test("nothing else is reported", () => {
      assert.deepEqual(
        stderr.split("\n").filter((line) => line !== "" && !line.includes("alert of ")),
        [],
      );
    });
  });
}
