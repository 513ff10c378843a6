import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connectWhenListening } from "../kit/clients/control-client";
import { GdbClient } from "../kit/clients/gdb-client";
import { RecordingFolder } from "../kit/guests/recording-run";
import { getShortRecording } from "../kit/lab/short-recording";
import { REBOX } from "../kit/project";

const LIMIT_MS = 60_000;

/** Tells of each program that is executed, with its count, and whether it was recorded. */
const TELLER = `
  import { CallbackManager, Engine, getInstructionCount } from "rebox";
  let cm: CallbackManager;
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    cm = new CallbackManager(handle);
    cm.addCallback(CallbackManager.EXEC_CB, () => print("exec " + getInstructionCount() + " " + (Engine.get().recording ?? "live")));
  }
  export function clean(): void { cm.clean(); }
`;

/** Begins a replay with a control socket in a folder; the answers of its shell are data. */
async function control(folder: RecordingFolder, recording: string, options: readonly string[]) {
  const socket = folder.place("control");
  const args = [REBOX, "replay", recording, "--control", socket, ...options];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  while (!existsSync(socket) && child.exitCode === null) await sleep(20);
  const client = await connectWhenListening(socket);
  const ask = async (line: string) => {
    const answer = await client.run(line);
    if (answer.error !== undefined) assert.fail(`${line}: ${answer.error}`);
    return answer.data as Record<string, unknown>;
  };
  return { child, client, ask, where: async () => Number((await ask("where"))["instructions"]) };
}

async function end(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

/** Connects as gdb does; each request is answered by a stop. */
async function connectGdb(socket: string) {
  const client = await GdbClient.connect(socket);
  await client.request("?");
  const stop = async (...requests: readonly string[]) => {
    for (const request of requests) {
      const answer = await Promise.race([client.request(request), sleep(LIMIT_MS, undefined, { ref: false })]);
      assert.match(answer ?? `no answer to ${request}`, /^T0/);
    }
  };
  return { client, stop };
}

async function untilTrue(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + LIMIT_MS;
  while (!(await isTrue())) {
    if (performance.now() > endMs) assert.fail(`${what} within ${LIMIT_MS / 1000} s`);
    await sleep(50);
  }
}

test("where gdb has gone back, scripts are told once of what they have not seen, --at holds, and the shell and a guest that goes live have everybody told", async () => {
  using folder = new RecordingFolder();
  const { folder: recording, instructions } = await getShortRecording();
  const [from, at] = [0.6, 0.8].map((part) => Math.floor(instructions * part)) as [number, number];
  const [, place] = await folder.ask(recording, ["goto end", "bp kernel!do_exit"]);
  const code = /0x([0-9a-f]{16})/.exec(place!)![1]!;
  folder.write("told.ts", TELLER);
  const [socket, log] = ["gdb", "log.json"].map((name) => folder.place(name)) as [string, string];
  const options = ["--gdb", socket, "--trust", "--script", folder.place("told.ts"), "--json", log, "--at", String(at)];
  const listExecs = (mode: string) =>
    [...readFileSync(log, "utf8").matchAll(/"exec (\d+) (\w+)"/g)]
      .filter(([, , told]) => told === mode)
      .map(([, count]) => Number(count));

  const { child, client, ask, where } = await control(folder, recording, options);
  try {
    await ask(`goto ${from}`);
    // In silence over all that the scripts have not seen.
    await ask(`when-executed ${code}`);
    assert.equal(await where(), from);
    const gdb = await connectGdb(socket);
    await gdb.stop("bs", "c");
    assert.equal(await where(), at);
    const told = listExecs("replaying");
    assert.ok(told.some((count) => count > from) && told.some((count) => count < from), String(told));
    assert.deepEqual(
      told,
      [...new Set(told)].toSorted((a, b) => a - b),
      "each once",
    );

    // The count was reached, and still holds.
    await gdb.stop("bs", "c");
    assert.equal(await where(), at);
    assert.deepEqual(listExecs("replaying"), told);

    assert.equal(await gdb.client.request(`Z0,${code},1`), "OK");
    await gdb.stop("bc", "bc");
    assert.equal(await gdb.client.request(`z0,${code},1`), "OK");
    gdb.client.close();
    const back = await where();
    assert.ok(back < at);
    assert.equal((await ask("timeline"))["furthest"], at);
    await ask("step");
    const stepped = await where();
    assert.ok(stepped > back && stepped < at, `a step from ${back} to ${stepped}`);
    await ask("bp kernel!do_exit once");
    await ask("cont");
    await untilTrue("the breakpoint is hit", async () => (await ask("where"))["state"] === "paused");
    const hit = await where();
    assert.ok(hit > stepped && hit < at, `a breakpoint from ${stepped} to ${hit}`);

    const again = await connectGdb(socket);
    await again.stop("c");
    assert.equal(await where(), at);
    assert.equal(await again.client.request(`Z0,${code},1`), "OK");
    // Of five processes that end one after another, one at least was a program of its own.
    await again.stop("bc", "bc", "bc", "bc", "bc");
    assert.equal(await again.client.request(`z0,${code},1`), "OK");
    again.client.close();
    assert.equal((await ask("go-live"))["recording"], undefined);
    await ask("cont");
    await untilTrue("the live guest executes a program", () => listExecs("live").length > 0);
    assert.ok(listExecs("live")[0]! < at, "before it comes to where gdb went back from");
  } finally {
    client.close();
    await end(child);
  }
});

test("goto lets a script go that holds itself by a shell while it is loaded, and Ctrl-C ends the wait for one that does not end", async () => {
  using folder = new RecordingFolder();
  const { folder: recording } = await getShortRecording();
  const load = (body: string) => `
    import { startShell } from "rebox/trusted";
    export async function initialize_callbacks(handle: number, print: (text: string) => void): Promise<void> {
      ${body}
    }
    export function clean(): void {}
  `;
  const options = ["--trust", "--script", folder.place("holds.ts")];
  folder.write("holds.ts", load(`await startShell(); print("was let go");`));
  const [there, where] = await folder.ask(recording, ["goto 1000", "where"], options);
  for (const answer of [there, where]) assert.match(answer!, /^instruction 1000 of/m);

  folder.write("holds.ts", load(`await new Promise(() => startShell);`));
  const { child, client } = await control(folder, recording, options);
  try {
    let error: string | undefined;
    void client.run("goto 5").then((answer) => (error = answer.error ?? "it went"));
    await untilTrue("the wait is ended", async () => {
      await client.interrupt();
      return error !== undefined;
    });
    assert.match(error!, /the wait for the scripts was ended/);
  } finally {
    client.close();
    await end(child);
  }
});
