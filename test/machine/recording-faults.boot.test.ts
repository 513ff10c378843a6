import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { connectWhenListening } from "../kit/clients/control-client";
import { defaultKit } from "../kit/guests/guest-kits";
import { getReadyRecording } from "../kit/guests/ready-recording";
import { machineArgs, RecordingFolder } from "../kit/guests/recording-run";
import { REBOX } from "../kit/project";

const getSize = (path: string) => (existsSync(path) ? statSync(path).size : 0);

/** Ends a recording when there is something of it. */
async function endAt(folder: RecordingFolder, name: string, pid: number, signal: NodeJS.Signals): Promise<void> {
  while (getSize(folder.place(`${name}/log`)) < 2_000_000) await sleep(20);
  process.kill(pid, signal);
}

test("a killed recording is replayed up to its end, which is said; so is a log that was cut anywhere", async () => {
  using folder = new RecordingFolder();
  const killed = await folder.record("killed", machineArgs, {
    onStart: (pid) => void endAt(folder, "killed", pid, "SIGKILL"),
  });
  assert.equal(killed.signal, "SIGKILL");
  const replayed = await folder.replay("killed");
  assert.equal(replayed.status, 0, replayed.stderr);
  assert.match(
    replayed.stderr,
    /^rebox: the recording ends at instruction \d+: it was cut off there, by a kill or a full disk\n$/,
  );
  assert.ok(killed.console.startsWith(replayed.console) && replayed.console.length > 1000, replayed.console);

  // In the middle of an event, and within what QEMU reads at once.
  cpSync(folder.place("killed"), folder.place("cut"), { recursive: true });
  truncateSync(folder.place("cut/log"), 1_234_567);
  const cut = await folder.replay("cut");
  assert.equal(cut.status, 0, cut.stderr);
  assert.match(cut.stderr, /it was cut off there/);
  assert.ok(Number(cut.detail["instructions"]) < Number(replayed.detail["instructions"]));

  truncateSync(folder.place("cut/log"), 12);
  assert.match(
    (await folder.replay("cut")).stderr,
    /^rebox: the recording in .*cut was cut off before the guest's first instruction\n$/,
  );
});

test("a full disk ends the recording with the reason, and what was recorded is replayed", async () => {
  using folder = new RecordingFolder();
  const console = folder.place("console.txt");
  writeFileSync(console, "");
  // The file cannot get larger than this many blocks of 512 bytes.
  const command = `trap "" XFSZ; ulimit -f 3000; exec "$@"`;
  const args = [REBOX, "record", "-o", folder.place("full"), "--", ...machineArgs(console)];
  const child = spawn("bash", ["-c", command, "bash", process.execPath, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [status] = (await once(child, "close")) as [number | null];
  assert.equal(status, 1, stderr);
  assert.match(stderr, /could not be written any further: File too large; .* can be replayed/);
  const replayed = await folder.replay("full");
  assert.equal(replayed.status, 0, replayed.stderr);
  assert.match(replayed.stderr, /it was cut off there/);
  assert.ok(readFileSync(console, "latin1").startsWith(replayed.console) && replayed.console.length > 500);
});

test("a changed file, and a folder in use, are refused by name", async () => {
  using folder = new RecordingFolder();
  const kit = defaultKit();
  const initrd = folder.place("initrd");
  copyFileSync(kit.initramfs, initrd);
  const getArgs = (console: string) => machineArgs(console).map((word) => (word === kit.initramfs ? initrd : word));
  const recorded = await folder.record("one", getArgs);
  assert.equal(recorded.status, 0, recorded.stderr);
  const again = await folder.record("one", getArgs);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /one is not empty: a recording gets a folder of its own/);

  appendFileSync(initrd, "x");
  const { status, stderr } = await folder.replay("one");
  assert.equal(status, 1, stderr);
  assert.match(stderr, /initrd \(-initrd\) is not what was recorded: its content has changed/);
  copyFileSync(kit.initramfs, initrd);
  // A new time, and the old content.
  assert.equal((await folder.replay("one")).status, 0);
  assert.match((await folder.replay("nothing")).stderr, /nothing is no recording: it has no recording\.json/);
});

test("another engine, other arguments and a damaged manifest are refused by name, and a replay that departs says where it was right", async () => {
  using folder = new RecordingFolder();
  cpSync((await getReadyRecording()).folder, folder.place("one"), { recursive: true });
  const path = folder.place("one/recording.json");
  const manifest = readFileSync(path, "utf8");
  const refuse = async (changed: string, reason: RegExp) => {
    writeFileSync(path, changed);
    const { status, stderr } = await folder.replay("one");
    assert.equal(status, 1, stderr);
    assert.match(stderr, reason);
  };
  const facts = JSON.parse(manifest) as { engine: { sha256: string } };
  await refuse(
    manifest.replace(facts.engine.sha256, "0".repeat(64)),
    /was made by another engine \(rebox .*, QEMU 10\.0\./,
  );
  await refuse(manifest.replace('"format": 1', '"format": 2'), /has the format 2; this rebox replays 1/);
  await refuse(manifest.replace('"256"', '"384"'), /recording\.json is not the one that was recorded: its args, cwd, files or diskFormats were changed/); // prettier-ignore
  await refuse(manifest.slice(0, 200), /recording\.json in .*one is damaged/);
  writeFileSync(path, manifest);

  // A register that is not as it was: the replay is not what was recorded.
  const checks = readFileSync(folder.place("one/checks"));
  assert.ok(checks.length > 16 * 20, "few interrupts were checked");
  checks[16 * 5 + 8]! ^= 1;
  writeFileSync(folder.place("one/checks"), checks);
  const departed = await folder.replay("one");
  assert.equal(departed.status, 70, departed.stderr);
  const [, right, wrong] = /right up to instruction (\d+), and is not at instruction (\d+)/.exec(departed.stderr) ?? [];
  assert.deepEqual(
    [right, wrong],
    [4, 5].map((index) => String(checks.readBigUInt64LE(16 * index))),
  );
});

test("goto stops at exactly the instruction that is asked for, with the same registers each time, and the guest stays at the end", async () => {
  using folder = new RecordingFolder();
  const { folder: recording, instructions: total } = await getReadyRecording();
  const places = [1_000_000, 1_000_001, 40_000_000, 100_000_001];
  const states: unknown[][] = [];
  for (const round of [0, 1]) {
    const socket = folder.place(`control-${round}`);
    const replay = folder.replay(recording, { reboxArgs: ["--control", socket] });
    while (!existsSync(socket)) await sleep(20);
    const client = await connectWhenListening(socket);
    const state: unknown[] = [];
    const ask = async (line: string) => {
      const answer = await client.run(line);
      if (answer.error !== undefined) assert.fail(`${line}: ${answer.error}`);
      return answer.data as Record<string, unknown>;
    };
    for (const place of places) {
      const where = await ask(`goto ${place}`);
      assert.deepEqual([where["instructions"], where["of"]], [place, total]);
      state.push(where["address"], await ask("r"));
    }
    assert.equal((await ask("goto +5"))["instructions"], places.at(-1)! + 5);
    assert.equal((await ask("goto 5"))["instructions"], 5);
    assert.match((await client.run(`goto ${total + 1}`)).error ?? "", /ends at instruction \d+, before/);
    assert.match((await client.run("iowb 80=1")).error ?? "", /the machine is recorded or replayed/);
    assert.equal((await ask(`goto ${total}`))["instructions"], total);
    assert.equal((await ask("status"))["instructions"], total);
    await client.run("quit machine");
    client.close();
    assert.equal((await replay).status, 0);
    states.push(state);
  }
  assert.deepEqual(states[1], states[0]);
});
