import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { PROJECT } from "../kit/project";

const MODULE = pathToFileURL(join(PROJECT, "native/setup/lock.mjs")).href;
const directory = mkdtempSync(join(tmpdir(), "rebox-lock-"));
after(() => rmSync(directory, { recursive: true }));

test("two holders of one lock never overlap, and the second is told whom it waits for", async () => {
  const { withLock } = await import(MODULE);
  const path = join(directory, "shared");
  const events: string[] = [];
  let waitedFor = "";
  const hold = (name: string) =>
    withLock(
      path,
      (holder: string) => {
        waitedFor = holder;
      },
      async () => {
        events.push(`${name} in`);
        await delay(600);
        events.push(`${name} out`);
      },
    );
  await Promise.all([hold("a"), hold("b")]);
  const first = events[0]?.startsWith("a") ? "a" : "b";
  const second = first === "a" ? "b" : "a";
  assert.deepEqual(events, [`${first} in`, `${first} out`, `${second} in`, `${second} out`]);
  assert.equal(waitedFor, String(process.pid));
});

test("a killed holder leaves no lock behind", async () => {
  const path = join(directory, "killed");
  const script = `const { withLock } = await import(${JSON.stringify(MODULE)});
    await withLock(${JSON.stringify(path)}, () => {}, () => { console.log("held"); return new Promise(() => {}); });`;
  const holder = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  holder.kill("SIGKILL");
  await once(holder, "exit");
  const { withLock } = await import(MODULE);
  assert.equal(
    await withLock(
      path,
      () => {},
      async () => "mine",
    ),
    "mine",
  );
});
