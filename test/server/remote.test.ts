import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { REBOX } from "../kit/project";
import { VERDICT } from "../kit/server/made-analysis";
import { type TestServer, withServer } from "../kit/server/test-server";

interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `rebox remote` with the token of the analyst. */
async function remote(
  server: TestServer,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Result> {
  const env = { ...process.env, REBOX_SERVER: server.url, REBOX_TOKEN: server.tokens.analyst, ...environment };
  const child = spawn(process.execPath, [REBOX, "remote", ...args], { env, cwd: server.lab.folder });
  const [out, error]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (bytes: Buffer) => out.push(bytes));
  child.stderr.on("data", (bytes: Buffer) => error.push(bytes));
  const [status] = (await once(child, "close")) as [number];
  return { status, stdout: Buffer.concat(out).toString("utf8"), stderr: Buffer.concat(error).toString("utf8") };
}

describe("rebox remote", () => {
  test("submits, follows, lists, shows, fetches and ends analyses of a server", async () => {
    await withServer({}, async (server) => {
      const run = (...args: string[]) => remote(server, args);
      // A phase that is shorter than the time between two looks at it is not told.
      const watched = await run(
        "submit",
        "--command",
        "echo done; sleep 1",
        "--machine",
        "office",
        "--note",
        "a note",
        "--watch",
      );
      assert.equal(watched.status, 0, watched.stderr);
      assert.match(watched.stdout, /^analysis 1: queued\n[^]*analysis 1: running\n[^]*analysis 1: finished: the command ended with status 0 \(\d+ events\)\n$/); // prettier-ignore
      const listed = await run("list");
      assert.match(listed.stdout, /^id +created \(UTC\) +state +score +machine +target +reason\n1 .* finished .* office +echo done; sleep 1 +the command ended/); // prettier-ignore
      assert.match((await run("show", "1")).stdout, /^note +a note$/m);
      assert.equal((JSON.parse((await run("show", "1", "--json")).stdout) as { state: string }).state, "finished");
      const report = JSON.parse((await run("report", "1")).stdout) as { analysis: { id: number } };
      assert.equal(report.analysis.id, 1);
      assert.equal((await run("report", "1", "--html", "-o", "report.html")).status, 0);
      assert.match(readFileSync(join(server.lab.folder, "report.html"), "utf8"), /^<!doctype html>/i);
      // Nothing is written over.
      assert.match((await run("report", "1", "--html", "-o", "report.html")).stderr, /report\.html: .*exists/);
      assert.match((await run("files", "1")).stdout, /^events\.jsonl +\d+$/m);
      assert.match((await run("machines")).stdout, /^office +poweroff +linux +quick$/m);
      const { stdout } = await run("submit", "--command", "sleep 100", "--json");
      assert.deepEqual(JSON.parse(stdout), { ids: [2] });
      assert.equal((await run("cancel", "2")).status, 0);
      const ended = await run("watch", "2");
      assert.deepEqual([ended.status, /cancelled: cancelled by analyst/.test(ended.stdout)], [1, true], ended.stdout);
    });
  });

  test("hands files in as they are, and fetches what may be malware in an archive", async () => {
    await withServer({}, async (server) => {
      const bytes = Buffer.alloc(3 << 20, "\r\n--rebox-\0");
      const odd = 'a "quoted" näme.bin';
      writeFileSync(join(server.lab.folder, odd), bytes);
      writeFileSync(join(server.lab.folder, "token"), `${server.tokens.analyst}\n`);
      const args = [
        "submit",
        odd,
        "--argument=--x",
        "--env",
        "A=b=c",
        "--option",
        "memory=no",
        "--token-file",
        "token",
      ];
      const { stdout, stderr } = await remote(server, args, { REBOX_TOKEN: "" });
      assert.equal(stdout, "analysis 1: queued\n", stderr);
      const id = server.add({ verdict: VERDICT, artefacts: { "/tmp/drop": "dropped" } });
      const target = await server.ask("reader", "/api/v1/analyses/1/target?raw=yes");
      assert.ok(Buffer.from(await target.arrayBuffer()).equals(bytes));
      const files = await remote(server, ["files", String(id)]);
      const path = /^artefacts\/\w+/m.exec(files.stdout)![0];
      assert.match((await remote(server, ["files", String(id), path])).stderr, /name the file that it is written to/);
      await remote(server, ["files", String(id), path, "-o", "a.zip"]);
      assert.equal(readFileSync(join(server.lab.folder, "a.zip")).subarray(0, 2).toString("latin1"), "PK");
      await remote(server, ["files", String(id), path, "--raw", "-o", "a.bin"]);
      assert.equal(readFileSync(join(server.lab.folder, "a.bin"), "utf8"), "dropped");
      assert.match((await remote(server, ["list", "--signature", "hides"])).stdout, /\n2 .*finished +7\.5/);
      // By words of what was done, in their order.
      assert.match((await remote(server, ["list", "--text", "process sampl"])).stdout, /^id [^\n]*\n$/);
      assert.match((await remote(server, ["list", "--text", "./SAMPL"])).stdout, /\n2 .*finished/);
    });
  });

  test("compares, exports, repeats and removes analyses, and manages machines", async () => {
    await withServer({}, async (server) => {
      const acts = (path: string) => [{ type: "file.written", pid: 100, process: "sample", origin: "target", path }];
      const [one, other] = [server.add({ events: acts("/etc/one") }), server.add({ events: acts("/etc/other"), verdict: VERDICT })]; // prettier-ignore
      const compared = await remote(server, ["compare", String(one), String(other)]);
      assert.match(compared.stdout, /\nonly in 1: 1 acts\n {2}file\.written +sample: .*\/etc\/one\n/, compared.stderr);
      assert.match(compared.stdout, /fired +It hides files/);
      assert.equal((await remote(server, ["export", "2", "--as", "misp"])).stdout, "analysis 2 is in analysis-2.misp.json\n"); // prettier-ignore
      assert.ok(readFileSync(join(server.lab.folder, "analysis-2.misp.json"), "utf8").includes("Event"));
      assert.equal((await remote(server, ["repeat", "1"])).stdout, "analysis 3: queued\n");
      await server.untilEnded(3);
      assert.equal((await remote(server, ["remove", "3"])).stdout, "analysis 3: removed\n");
      assert.match((await remote(server, ["show", "3"])).stderr, /there is no analysis 3/);
      assert.match((await remote(server, ["machine", "start", "office"])).stderr, /has not the right to administer/);
      const administer = { REBOX_TOKEN: server.tokens.administrator };
      const started = await remote(server, ["machine", "start", "office"], administer);
      assert.deepEqual([started.status, started.stderr], [0, ""], started.stdout);
      assert.match((await remote(server, ["machines"])).stdout, /^office +running/m);
      const again = await remote(server, ["machine", "start", "office"], administer);
      assert.deepEqual([again.status, /office is running; stop it first/.test(again.stdout)], [1, true]);
      assert.equal((await remote(server, ["machine", "stop", "office"], administer)).status, 0);
      const out = await remote(server, ["machine", "disable", "spare", "--reason", "a broken disk"], administer);
      assert.equal(out.stdout, "spare is out of the pool\n");
      assert.match((await remote(server, ["machines"])).stdout, /^spare .*a broken disk/m);
      assert.match((await remote(server, ["investigate", "office", "process", "--", "-name", "x"], administer)).stderr, /office/); // prettier-ignore
      assert.match((await remote(server, ["recordings"])).stdout, /^name +folder/);
      assert.match((await remote(server, ["replay", "boot", "--at", "5"], administer)).stderr, /there is no recording boot/); // prettier-ignore
    });
  });

  test("says in a sentence what is missing, and gives no token away", async () => {
    await withServer({}, async (server) => {
      const fails = async (args: readonly string[], environment: Record<string, string>, text: RegExp) => {
        const { status, stderr } = await remote(server, args, environment);
        assert.equal(status, 1);
        assert.match(stderr, text);
      };
      await fails(["list"], { REBOX_SERVER: "" }, /which server\? Name it by --server URL/);
      await fails(["list"], { REBOX_TOKEN: "" }, /there is no token/);
      await fails(["list"], { REBOX_TOKEN: "wrong" }, /the server says: sign in first/);
      await fails(
        ["list"],
        { REBOX_SERVER: "http://sandbox.example" },
        /others could read the token on its way to sandbox\.example/,
      );
      await fails(["list"], { REBOX_SERVER: "ftp://x" }, /is no server/);
      await fails(["list"], { REBOX_SERVER: "http://127.0.0.1:1" }, /127\.0\.0\.1:1 cannot be reached/);
      await fails(["show", "77"], {}, /there is no analysis 77/);
      await fails(["submit"], {}, /there is nothing to analyse/);
      await fails(["submit", "missing.bin"], {}, /missing\.bin: there is no such file/);
      assert.ok(!existsSync(join(server.lab.folder, "missing.bin")));
    });
  });

  test("reaches a server on a unix socket", async () => {
    await withServer({ settings: { listen: { path: "/tmp/rebox-remote-test.sock" } } }, async (server) => {
      const { stdout, stderr } = await remote(server, ["machines"], { REBOX_SERVER: `unix:${server.url}` });
      assert.match(stdout, /^office +poweroff/m, stderr);
    });
  });
});
