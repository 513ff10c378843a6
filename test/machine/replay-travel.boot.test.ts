import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { machineArgs, RecordingFolder, SUM_UP } from "../kit/guests/recording-run";
import { listKits } from "../kit/guests/guest-kits";
import { makeExt4, writeTree } from "../kit/guests/disk-image";
import { runRebox, SLOWNESS } from "../kit/guests/guest-run";
import { getReadyRecording } from "../kit/guests/ready-recording";
import { getShortRecording } from "../kit/lab/short-recording";

const getCount = (answer: string | undefined) => Number(/instruction (\d+)/.exec(answer ?? "")?.[1]);

/** Goes to counts and sums up what is there, each as the lines of a shell. */
const visit = (counts: readonly number[]) => counts.flatMap((count) => [`goto ${count}`, SUM_UP]);

const narrow = listKits().find(({ architecture }) => architecture === "i386");
for (const [machine, getRecording] of [
  ["64 bits from its boot on", () => getReadyRecording()],
  ["32 bits from a golden state on", () => getShortRecording(narrow)],
] as const) {
  test(`a replay of a guest of ${machine} that goes back is at each count what it was on its way forward: registers, memory, and what the guest says`, async () => {
    using folder = new RecordingFolder();
    const { folder: recording, console, instructions: total } = await getRecording();
    const counts = [0.05, 0.15, 0.3, 0.6, 0.97].map((part) => Math.floor(total * part));
    const order = [0, 1, 2, 3, 4, 0, 3, 1, 4, 2].map((index) => counts[index] as number);
    const answers = await folder.ask(recording, [...visit(order), "goto end", "where"]);
    const truth = new Map(counts.map((count, index) => [count, answers[2 * index + 1]]));
    assert.equal(new Set(truth.values()).size, counts.length, answers.join("\n"));
    order.forEach((count, index) => {
      assert.equal(getCount(answers[2 * index]), count, answers[2 * index]);
      assert.equal(answers[2 * index + 1], truth.get(count), `at ${count}, visit ${index}`);
    });
    assert.equal(getCount(answers.at(-1)), total);
    assert.equal(readFileSync(folder.place("console-1.txt"), "latin1"), console);

    // One that keeps no states is there what this one was.
    const [, alone] = await folder.ask(recording, visit([counts[2] as number]), ["--states", "0"]);
    assert.equal(alone, truth.get(counts[2] as number));
  });
}

test("steps back, calls, breakpoints and accesses of the past are found, and the way back to where one was", async () => {
  using folder = new RecordingFolder();
  const { folder: recording, instructions: total } = await getShortRecording();
  const start = Math.floor(total * 0.9);
  const answers = await folder.ask(recording, [
    ...[`goto ${start}`, "goto +1", "reverse-step", "back", "goto -5", "reverse-step 5", "back", "back"],
    ...["goto end", "bp kernel!do_exit", "reverse-continue", "reverse-continue", "where", "reverse-finish", "step"],
    ...["where", "goto end", "last written kernel!jiffies_64:8", "where", "back", "goto 99999999999999"],
    "last executed 1234567890",
  ]);
  const [atStart, plusOne, minusOne, backed, minusFive, fiveMore, backAgain, backTwice] = answers;
  assert.equal(getCount(atStart), start);
  assert.equal(getCount(plusOne), start + 1);
  assert.equal(getCount(minusOne), start);
  assert.equal(minusOne, atStart);
  assert.equal(getCount(backed), start + 1);
  assert.equal(getCount(minusFive), start - 4);
  assert.equal(getCount(fiveMore), start - 9);
  assert.equal(getCount(backAgain), start - 4);
  assert.equal(getCount(backTwice), start + 1);

  const [, , lastExit, exitBefore, where, call, stepped, again] = answers.slice(8);
  assert.match(lastExit!, /do_exit/);
  assert.ok(getCount(exitBefore) < getCount(lastExit), answers.join("\n"));
  assert.equal(where, exitBefore);
  assert.equal(getCount(call), getCount(where) - 1);
  assert.match(call!, /do_group_exit|exit/);
  assert.match(stepped!, /do_exit/);
  assert.equal(getCount(again), getCount(where));

  const [, written, atWrite, backAtEnd, tooFar, never] = answers.slice(16);
  assert.match(written!, /^instruction \d+: written by .+, \d+ bytes = 0x[0-9a-f]+$/m);
  assert.equal(getCount(atWrite), getCount(written));
  assert.equal(getCount(backAtEnd), total);
  assert.match(tooFar!, /^error: the recording ends at instruction \d+, before 99999999999999$/m);
  assert.match(never!, /^error: it was not executed before this place$/m);
});

test("all times at which a place was written, read or executed are listed, and the replay stays where it is", async () => {
  using folder = new RecordingFolder();
  const { folder: recording } = await getShortRecording();
  const answers = await folder.ask(recording, [
    ...["goto end", "last written kernel!jiffies_64:8", "where", "when-written kernel!jiffies_64:8", "where"],
    ...["first written kernel!jiffies_64:8", "back", "goto end", "last executed kernel!schedule"],
    ...[
      "when-executed kernel!schedule",
      "when-read kernel!jiffies_64:8",
      "goto -1000",
      "mark there",
      "goto -1000000",
      "goto there",
    ],
    ...["mark", "timeline"],
  ]);
  const [, written, atWrite, list, unmoved, first, wayBack, , executed, executions, reads, there, mark, , again, marks, time] = answers; // prettier-ignore
  const count = getCount(written);
  assert.equal(getCount(atWrite), count, answers.join("\n"));
  assert.match(list!, new RegExp(`^ *${count} .*$`, "m"));
  assert.match(list!, /these are the last 100 of \d+ times/);
  assert.equal(unmoved, atWrite);
  assert.ok(getCount(first) < count);
  assert.equal(getCount(wayBack), count);
  assert.match(executions!, new RegExp(`^ *${getCount(executed)} .*schedule`, "m"));
  // The instruction that counts it up reads it, and others do between two of its ticks.
  assert.match(reads!, /^ *\d+ .*(timer|jiffies)/m);
  assert.match(reads!, /these are the last 100 of \d+ times/);
  assert.equal(again, there);
  assert.equal(mark, `there is instruction ${getCount(there)}`);
  assert.match(marks!, new RegExp(`^ *there +${getCount(there)}`, "m"));
  assert.match(time!, new RegExp(`^instruction ${getCount(there)} of \\d+, \\d+ were replayed; [1-9]\\d* states\\nthere ${getCount(there)}`, "m")); // prettier-ignore
});

test("a replay goes back over what the guest did with a disk and the network, and forward to the same end", async () => {
  using folder = new RecordingFolder();
  writeTree(folder.place("tree"), {
    "run.sh": `
      for i in 1 2 3; do dd if=/dev/urandom of=/mnt/f$i bs=64k count=4 2> /dev/null; sync; done
      echo 3 > /proc/sys/vm/drop_caches
      truth sum "$(cat /mnt/f1 /mnt/f2 /mnt/f3 | md5sum)"
      for module in $(cat /modules/order); do insmod "/modules/$module.ko" 2> /dev/null; done
      ip address add 10.0.2.15/24 dev eth0
      ip link set eth0 up
      truth answers "$(ping -c 3 -i 0.1 -s 1000 10.0.2.2 | grep -c 'bytes from')"
      echo 3 > /proc/sys/vm/drop_caches
      truth again "$(cat /mnt/f1 /mnt/f2 /mnt/f3 | md5sum)"
    `,
  });
  const image = folder.place("disk.img");
  makeExt4(image, folder.place("tree"), "32M");
  for (const model of ["virtio-net-pci", "e1000"]) {
    const more = ["-drive", `file=${image},format=raw,if=virtio`, "-nic", `user,model=${model}`];
    const recorded = await folder.record(model, (console) => machineArgs(console, "disk", more));
    assert.equal(recorded.status, 0, recorded.stderr);
    const total = Number(recorded.detail["instructions"]);
    const [one, two, three, four] = [0.5, 0.7, 0.9, 0.95].map((part) => Math.floor(total * part)) as [number, number, number, number]; // prettier-ignore
    const order = [one, two, three, four, one, three, two];
    const answers = await folder.ask(model, [...visit(order), "goto end"]);
    for (const [index, place] of order.entries()) {
      assert.equal(getCount(answers[2 * index]), place, answers[2 * index]);
      assert.equal(answers[2 * index + 1], answers[2 * order.indexOf(place) + 1], `${model} at ${place}`);
    }
    assert.equal(getCount(answers.at(-1)), total, answers.at(-1));
  }
});

test("scripts are told of events once, however often a replay goes back over them", async () => {
  using folder = new RecordingFolder();
  const { folder: recording } = await getShortRecording();
  const source = `
    import { CallbackManager, getInstructionCount } from "rebox";
    let cm: CallbackManager;
    export function initialize_callbacks(handle: number, print: (text: string) => void): void {
      cm = new CallbackManager(handle);
      cm.addCallback(CallbackManager.EXEC_CB, (pid, _pgd, _name, path) => print("exec " + getInstructionCount() + " " + path + " " + pid));
    }
    export function clean(): void { cm.clean(); }
  `;
  const listExecs = (text: string) => text.match(/exec \d+ \S+ \d+/g) ?? [];
  const plain = await folder.replay(recording, { script: source });
  const execs = listExecs(plain.messages.join("\n"));
  assert.ok(execs.length >= 2, plain.stderr);
  const before = Number(execs.at(-1)!.split(" ")[1]) - 1000;
  writeTree(folder.path, { "told.ts": source });
  const lines = ["goto end", `goto ${before}`, "goto end", `goto ${before}`, "where"];
  const answers = await folder.ask(recording, lines, ["--script", folder.place("told.ts")]);
  assert.equal(getCount(answers.at(-1)), before);
  assert.deepEqual(listExecs(answers.join("\n")), execs);
});

test("a whole replay is asked who writes or executes a place, by one process or several, and is paused at a count", async () => {
  using folder = new RecordingFolder();
  const { folder: recording, instructions } = await getShortRecording();
  const half = Math.floor(instructions / 2);
  const [, ...symbols] = await folder.ask(recording, ["goto end", "bp kernel!do_exit", "bpw kernel!jiffies_64:8"]);
  const [code, memory] = symbols.map((text) => /0x([0-9a-f]{16})/.exec(text)?.[1]);
  const run = await folder.replay(recording, {
    reboxArgs: ["--when-executed", code!, "--when-written", `${memory}:8`],
  });
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stdout, new RegExp(`^instruction \\d+: executed by .* at 0x${code}$`, "m"));
  assert.match(run.stdout, new RegExp(`^instruction \\d+: written by .*, 8 bytes at 0x${memory} = 0x[0-9a-f]+$`, "m"));
  // Several processes, each with a part of it, find the same in the same order.
  const listHits = (text: string) => text.match(/^instruction .*$/gm) ?? [];
  const question = ["--when-executed", code!, "--when-written", `${memory}:8`];
  const parts = await runRebox(["replay", recording, ...question, "--jobs", "2"], 100_000 * SLOWNESS);
  assert.equal(parts.status, 0, parts.stderr);
  assert.equal(parts.stderr, `rebox: the recording ends at instruction ${instructions}\n`);
  assert.deepEqual(listHits(parts.stdout), listHits(run.stdout));
  const refused = await folder.replay(recording, { reboxArgs: ["--when-written", "here"] });
  assert.match(refused.stderr, /must be ADDRESS or ADDRESS:SIZE/);

  const script = `
    import { Engine, getInstructionCount } from "rebox";
    export function initialize_callbacks(handle: number, print: (text: string) => void): void {
      Engine.get().on("paused", () => {
        print("paused at " + getInstructionCount());
        void Engine.get().quit();
      });
    }
    export function clean(): void {}
  `;
  const paused = await folder.replay(recording, { script, reboxArgs: ["--at", String(half)] });
  assert.deepEqual(paused.messages, [`paused at ${half}`], paused.stderr);
});
