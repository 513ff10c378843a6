import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { RecordingError } from "../../src/machine/errors";
import { chooseJobs, divideRecording, type FoundHit, readParts } from "../../src/guest/breakpoints/past-parts";

test("a recording is divided into parts that become shorter, since a later one is reached later", () => {
  assert.deepEqual(divideRecording(1_000_000, 1), [0]);
  // 5 parts of 9 and 4 of 9: the second begins after 5, and each of its own takes 5 times as long.
  assert.deepEqual(divideRecording(900, 2), [0, 500]);
  const begins = divideRecording(10_000_000_000, 4);
  const lengths = begins.map((begin, index) => (begins[index + 1] ?? 10_000_000_000) - begin);
  const times = lengths.map((length, index) => begins[index]! + 5 * length);
  assert.ok(Math.max(...times) - Math.min(...times) < 100, times.join());
});

test("a short recording is looked through by one process", () => {
  assert.equal(chooseJobs(1_000_000_000), 1);
  const jobs = chooseJobs(100_000_000_000);
  assert.ok(jobs >= 1 && jobs <= 4);
});

/** A process that runs a program in place of a replay; `hit(count)` writes a hit. */
const startProgram = (program: string) => () => {
  const hit = `const hit = (count) => process.stdout.write(JSON.stringify({ type: "hit", what: "written", count, cpuIndex: 0, pc: "1", pgd: "2", address: "3", size: 1 }) + "\\n");`;
  return spawn(process.execPath, ["-e", `${hit}\n${program}`], { stdio: ["ignore", "pipe", "pipe", "ipc"] });
};

async function readCounts(programs: readonly string[], signal = new AbortController().signal): Promise<number[]> {
  const hits: FoundHit[] = [];
  for await (const hit of readParts(programs.map(startProgram), signal)) hits.push(hit);
  return hits.map(({ count }) => count);
}

test("the hits of a part are told also when it has ended before an earlier one", async () => {
  assert.deepEqual(await readCounts(["setTimeout(() => hit(1), 1000)", "hit(2); hit(3)"]), [1, 2, 3]);
});

test("a part that fails ends the others, also one that waits for somebody to read what it says", async () => {
  const full = "process.on('SIGTERM', () => {}); for (let i = 0; i < 100000; i++) hit(i)";
  await assert.rejects(readCounts(["console.error('it departs'); process.exitCode = 70", full]), (error) => {
    return error instanceof RecordingError && error.message.includes("it departs");
  });
});

test("a part that ends within a line has failed", async () => {
  const cut = "hit(1); process.stdout.write('{\"type\":', () => process.kill(process.pid, 'SIGKILL'))";
  await assert.rejects(readCounts([cut]), RecordingError);
});

test("a program that cannot be started is a failed part", async () => {
  const start = () => spawn("/nowhere/rebox", { stdio: ["ignore", "pipe", "pipe", "ipc"] });
  await assert.rejects(readParts([start], new AbortController().signal).next(), RecordingError);
});

test("parts that still write end when nobody wants their answer any more", async () => {
  const end = new AbortController();
  const parts = readParts([startProgram("setInterval(() => hit(1), 1)")], end.signal);
  assert.equal((await parts.next()).value?.count, 1);
  end.abort();
  await assert.rejects(
    async () => {
      for (;;) if ((await parts.next()).done) return;
    },
    { name: "AbortError" },
  );
});
