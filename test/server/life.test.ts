import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openDatabase } from "../../src/lab/analysis/analysis-places";
import { type FolderLab, withFolder } from "../kit/lab/lab-folder";
import { quickLab } from "../kit/lab/quick-machinery";
import { REBOX } from "../kit/project";
import { addUsers, jsonOf, PASSWORD } from "../kit/server/test-server";

/** A `rebox serve` in a process of its own. */
interface ServeProcess {
  readonly child: ChildProcess;
  readonly url: string;
  /** What it has written to standard error. */
  errors(): string;
}

const env = { ...process.env, REBOX_LAB: undefined };

async function startServe(lab: FolderLab, ...args: readonly string[]): Promise<ServeProcess> {
  const child = spawn(process.execPath, [REBOX, "serve", "--lab", lab.folder, "--listen", "127.0.0.1:0", ...args], { env, stdio: ["ignore", "pipe", "pipe"] }); // prettier-ignore
  let errors = "";
  child.stderr.on("data", (text: Buffer) => (errors += String(text)));
  const [line] = (await Promise.race([once(child.stdout, "data"), once(child, "exit").then(() => Promise.reject(new Error(errors)))])) as [Buffer]; // prettier-ignore
  return { child, url: /^serving on (\S+)/.exec(String(line))![1]!, errors: () => errors };
}

function runServe(lab: FolderLab, args: readonly string[], input = "") {
  return spawnSync(process.execPath, [REBOX, "serve", ...args, "--lab", lab.folder], { env, input, encoding: "utf8" });
}

async function submit(url: string, token: string, command: string): Promise<number> {
  const init = jsonOf({ command });
  const answer = await fetch(`${url}/api/v1/analyses`, { ...init, headers: { ...(init.headers as object), authorization: `Bearer ${token}` } }); // prettier-ignore
  return ((await answer.json()) as { ids: [number] }).ids[0];
}

function entryOf(lab: FolderLab, id: number) {
  const database = openDatabase(lab.folder);
  try {
    return database.find(id)!;
  } finally {
    database.close();
  }
}

async function until(lab: FolderLab, id: number, phase: string): Promise<void> {
  while (entryOf(lab, id).phase !== phase) await sleep(50);
}

describe("a server that ends", () => {
  for (const signal of ["SIGKILL", "SIGTERM"] as const)
    test(`by ${signal} loses nothing: what runs goes on, and what waits begins under the next one`, async () => {
      await withFolder(quickLab("office", "spare"), async (lab) => {
        const { analyst } = await addUsers(lab.folder);
        const first = await startServe(lab, "--parallel", "1");
        const flag = join(lab.folder, "go");
        const running = await submit(first.url, analyst, `while [ ! -e ${flag} ]; do sleep 0.1; done`);
        const waiting = await submit(first.url, analyst, "true");
        await until(lab, running, "running");
        first.child.kill(signal);
        await once(first.child, "exit");
        assert.equal(first.child.exitCode, signal === "SIGTERM" ? 0 : null);
        // Another command on the lab ends those whose processes are gone.
        const { stdout } = spawnSync(process.execPath, [REBOX, "analyses", "list", "--lab", lab.folder], { env, encoding: "utf8" }); // prettier-ignore
        assert.match(stdout, /^2 .* queued /m);
        assert.match(stdout, /^1 .* running /m);
        const second = await startServe(lab, "--parallel", "1");
        await sleep(600);
        assert.equal(entryOf(lab, waiting).phase, "queued", "the limit counts those of the server before");
        writeFileSync(flag, "");
        for (const id of [running, waiting]) await until(lab, id, "ended");
        assert.deepEqual([entryOf(lab, running).outcome, entryOf(lab, waiting).outcome], ["finished", "finished"]);
        second.child.kill("SIGTERM");
        await once(second.child, "exit");
        assert.equal(second.errors().replace("rebox: ending; analyses that run go on\n", ""), "");
      });
    });

  test("can end an analysis that a server before it has begun", async () => {
    await withFolder(quickLab("office"), async (lab) => {
      const { analyst } = await addUsers(lab.folder);
      const first = await startServe(lab);
      const id = await submit(first.url, analyst, "sleep 100");
      await until(lab, id, "running");
      first.child.kill("SIGKILL");
      await once(first.child, "exit");
      const second = await startServe(lab);
      const headers = { authorization: `Bearer ${analyst}` };
      const answer = await fetch(`${second.url}/api/v1/analyses/${id}/cancel`, { method: "POST", headers });
      assert.equal(answer.status, 202);
      await until(lab, id, "ended");
      assert.deepEqual([entryOf(lab, id).outcome, entryOf(lab, id).reason], ["cancelled", "cancelled by analyst"]);
      second.child.kill("SIGTERM");
      await once(second.child, "exit");
    });
  });

  test("whose analysis is killed records that, and goes on", async () => {
    await withFolder(quickLab("office"), async (lab) => {
      const { analyst } = await addUsers(lab.folder);
      const { url, child } = await startServe(lab);
      const id = await submit(url, analyst, "sleep 100");
      await until(lab, id, "running");
      const marked = spawnSync("pgrep", ["-f", `analysis-worker-main.js ${lab.folder} ${id} served`], {
        encoding: "utf8",
      });
      process.kill(Number(marked.stdout.trim()), "SIGKILL");
      await until(lab, id, "ended");
      assert.match(entryOf(lab, id).reason!, /^its process was killed \(SIGKILL\) while: running/);
      const next = await submit(url, analyst, "true");
      await until(lab, next, "ended");
      assert.equal(entryOf(lab, next).outcome, "finished");
      child.kill("SIGTERM");
      await once(child, "exit");
    });
  });
});

describe("rebox serve", () => {
  test("refuses to start where there is no lab, no user, another server, or a place others could listen at", async () => {
    await withFolder(quickLab("office"), async (lab) => {
      assert.match(runServe(lab, []).stderr, /there is no user yet; add one: rebox serve add-user NAME/);
      const nowhere = spawnSync(process.execPath, [REBOX, "serve", "--lab", "/nowhere"], { env, encoding: "utf8" });
      assert.match(nowhere.stderr, /\/nowhere is no lab/);
      await addUsers(lab.folder);
      const open = runServe(lab, ["--listen", "0.0.0.0:0"]);
      assert.match(open.stderr, /on 0\.0\.0\.0 others could read passwords/);
      assert.match(runServe(lab, ["--listen", "everywhere"]).stderr, /is no place to listen/);
      const { child, url } = await startServe(lab);
      const second = runServe(lab, ["--listen", "127.0.0.1:0"]);
      assert.equal(second.status, 1);
      assert.match(second.stderr, /is served already.*end that server first/s);
      const taken = new URL(url).host;
      child.kill("SIGKILL");
      await once(child, "exit");
      // The lock of one that was killed is free; so is its place.
      const third = await startServe(lab, "--listen", taken);
      third.child.kill("SIGTERM");
      await once(third.child, "exit");
    });
  });

  test("listens on a unix socket that only its group reaches, also where a killed server has left one", async () => {
    await withFolder(quickLab("office"), async (lab) => {
      const { reader } = await addUsers(lab.folder);
      const socketPath = join(lab.folder, "s.sock");
      const ask = () =>
        new Promise<number>(
          (resolve, reject) =>
          request({ socketPath, path: "/api/v1/me", headers: { authorization: `Bearer ${reader}` } }, ({ statusCode }) => resolve(statusCode!)).once("error", reject).end(), // prettier-ignore
        );
      for (const signal of ["SIGKILL", "SIGTERM"] as const) {
        const { child, url } = await startServe(lab, "--listen", `unix:${socketPath}`);
        assert.equal(url, socketPath);
        assert.equal(statSync(socketPath).mode & 0o777, 0o660);
        assert.equal(await ask(), 200);
        child.kill(signal);
        await once(child, "exit");
      }
      assert.ok(!existsSync(socketPath));
    });
  });

  test("manages users and tokens at the terminal, in a file that only its user reads", async () => {
    await withFolder(quickLab("office"), async (lab) => {
      const run = (args: readonly string[], input?: string) => runServe(lab, args, input);
      assert.equal(run(["add-user", "anna", "--role", "administrator"], `${PASSWORD}\n`).stdout, "anna is a user: administrator\n"); // prettier-ignore
      assert.match(run(["add-user", "max", "--role", "analyst"], "short\n").stderr, /10 to 256 characters/);
      assert.match(run(["add-user", "max", "--role", "analyst"]).stderr, /there is no password/);
      assert.match(run(["add-user", "max", "--role", "king"], PASSWORD).stderr, /Allowed choices/);
      assert.match(run(["remove-user", "anna"]).stderr, /last administrator/);
      assert.match(run(["users"]).stdout, /^anna +administrator +since \d{4}-/);
      const token = run(["add-token", "anna", "--right", "read", "--days", "1"]).stdout.trim();
      const file = join(lab.folder, "server/accounts.db");
      assert.equal(statSync(file).mode & 0o077, 0);
      assert.ok(!readFileSync(file, "latin1").includes(PASSWORD));
      const { child, url } = await startServe(lab);
      const me = await fetch(`${url}/api/v1/me`, { headers: { authorization: `Token ${token}` } });
      assert.deepEqual(await me.json(), { name: "anna", role: "administrator", rights: ["read"] });
      child.kill("SIGTERM");
      await once(child, "exit");
    });
  });
});
