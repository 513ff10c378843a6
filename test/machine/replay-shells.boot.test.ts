import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connectWhenListening } from "../kit/clients/control-client";
import { RecordingFolder } from "../kit/guests/recording-run";
import { getShortRecording } from "../kit/lab/short-recording";
import { REBOX } from "../kit/project";

const LIMIT_MS = 60_000;

/** Begins a replay with a control socket in a folder. */
async function control(folder: RecordingFolder, recording: string, options: readonly string[]) {
  const socket = folder.place("control");
  const args = [REBOX, "replay", recording, "--control", socket, ...options];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  while (!existsSync(socket) && child.exitCode === null) await sleep(20);
  const client = await connectWhenListening(socket);
  return { child, client };
}

async function end(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

async function untilTrue(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + LIMIT_MS;
  while (!(await isTrue())) {
    if (performance.now() > endMs) assert.fail(`${what} within ${LIMIT_MS / 1000} s`);
    await sleep(50);
  }
}

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
