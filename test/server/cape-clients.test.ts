import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { getArchiveProgram } from "../../src/lab/analysis/export/archive-program";
import { VERDICT } from "../kit/server/made-analysis";
import { fileForm, PASSWORD, type TestServer, withServer } from "../kit/server/test-server";

type Json = Record<string, unknown>;

/** Asks as CAPE's clients do: "Authorization: Token ...". */
function ask({ url, tokens }: TestServer, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${url}/apiv2/${path}`, { ...init, headers: { authorization: `Token ${tokens.analyst}`, ...(init.headers as object) } }); // prettier-ignore
}

async function read(server: TestServer, path: string, init?: RequestInit): Promise<Json> {
  const answer = await ask(server, path, init);
  assert.equal(answer.status, 200, path);
  return (await answer.json()) as Json;
}

/** What a target did that ends in a report with all that clients read. */
const MADE = {
  ...{ name: "sample.bin", content: "MZ evil", verdict: VERDICT, domains: ["c2.example"], hasPicture: true },
  artefacts: { "/tmp/drop": "dropped" },
  events: [
    { type: "file.written", pid: 100, process: "sample", path: "/tmp/drop" },
    { type: "network.connected", pid: 100, process: "sample", protocol: "tcp", address: "203.0.113.9", port: 443 },
  ],
};

/** Checks the members of lite.json that Assemblyline's service takes by subscript: each is there, and of its type. */
function checkLiteReport(report: Json): void {
  const has = (value: unknown, ...names: readonly string[]) => {
    for (const name of names) {
      const member = (value as Json)[name];
      assert.ok(member !== undefined && member !== null, `${name} of ${JSON.stringify(value).slice(0, 200)}`);
    }
  };
  has(report.info, "started", "ended", "duration", "version", "id", "route", "machine");
  has((report.info as Json).machine, "manager", "name");
  has(report.debug, "errors", "log");
  const { processes, processtree } = report.behavior as { processes: Json[]; processtree: Json[] };
  assert.equal(processes.length, 1);
  has(processes[0], "process_id", "process_name", "parent_id", "module_path", "first_seen", "calls", "environ");
  has(processes[0]!.environ, "CommandLine");
  const calls = processes[0]!.calls as Json[];
  assert.deepEqual(calls.map(({ api, category }) => [api, category]), [["file.written", "file"], ["network.connected", "network"]]); // prettier-ignore
  for (const call of calls) for (const argument of call.arguments as Json[]) has(argument, "name", "value");
  has(processtree[0], "name", "pid", "children");
  const [signature] = report.signatures as Json[];
  has(signature, "name", "severity", "description", "categories", "families", "references", "data");
  assert.ok((signature!.severity as number) >= 0 && (signature!.severity as number) <= 8);
  const { dns, tcp, http, https, http_ex, https_ex, udp } = report.network as Record<string, Json[]>;
  assert.deepEqual([http, https, http_ex, https_ex, udp], [[], [], [], [], []]);
  has(dns![0], "request", "type", "answers");
  has(tcp![0], "src", "dst", "sport", "dport", "time");
  assert.deepEqual([dns![0]!.request, tcp![0]!.dst, tcp![0]!.dport], ["c2.example", "203.0.113.9", 443]);
  has(report.CAPE, "payloads", "configs");
  has((report.target as Json).file, "name", "path", "size", "sha256", "md5", "sha1", "type");
}

describe("the CAPE service of Assemblyline", () => {
  test("chooses a host and a machine, submits, waits, and takes the report and all files out of its archive", async () => {
    await withServer({}, async (server) => {
      const machines = (await read(server, "machines/list/")).data as Json[];
      assert.deepEqual(machines.map(({ name, platform }) => [name, platform]), [["office", "linux"], ["spare", "linux"]]); // prettier-ignore
      assert.ok(machines.every((machine) => "ip" in machine && Array.isArray(machine.tags)));
      const status = (await read(server, "cuckoo/status/")).data as { tasks: Json; machines: Json };
      assert.deepEqual([status.tasks.pending, status.machines.available], [0, 2]);
      const sha256 = "0".repeat(64);
      assert.deepEqual(await read(server, `tasks/search/sha256/${sha256}/`), { error: false, data: [] });
      const fields = { timeout: "120", enforce_timeout: "False", clock: "01-01-1970 00:00:00", package: "", memory: "False", route: "inetsim", options: "arguments=-a 'b c',free=yes,nohuman=true,", tags: "", machine: "", platform: "linux" }; // prettier-ignore
      const created = await read(server, "tasks/create/file/", { method: "POST", body: fileForm("sample.bin", "MZ", fields) }); // prettier-ignore
      assert.ok(!created.error);
      const [id] = (created.data as { task_ids: [number] }).task_ids;
      const request = await server.read<Json>("reader", `/api/v1/analyses/${id}`);
      assert.deepEqual([request.network, request.timeoutS, request.options], ["simulated", 120, { free: "yes", nohuman: "true" }]); // prettier-ignore
      const task = (await read(server, `tasks/view/${id}/`)).data as Json;
      for (const name of ["status", "target", "timeout", "custom", "package", "route", "options", "memory", "enforce_timeout", "tags", "clock", "errors", "guest"]) assert.ok(name in task, name); // prettier-ignore
      assert.deepEqual([task.target, task.route, task.options], ["sample.bin", "inetsim", fields.options]);
      const { state } = await server.untilEnded(id);
      // These machines have no networks to choose from, so their analysis fails: the client shows the reasons that the task has.
      assert.equal(state, "failed");
      const failed = (await read(server, `tasks/view/${id}/`)).data as { status: string; errors: string[] };
      assert.equal(failed.status, "failed_analysis");
      assert.match(failed.errors[0]!, /cannot be given the network simulated/);

      const ended = server.add(MADE);
      assert.equal(((await read(server, `tasks/view/${ended}/`)).data as Json).status, "reported");
      const archive = await ask(server, `tasks/get/report/${ended}/lite/zip/`);
      assert.equal(archive.headers.get("content-type"), "application/zip");
      const file = server.lab.path("lite.zip");
      writeFileSync(file, Buffer.from(await archive.arrayBuffer()));
      const folder = server.lab.path("unzipped");
      mkdirSync(folder);
      execFileSync(getArchiveProgram(), ["x", "-bso0", "-bsp0", `-o${folder}`, file]);
      checkLiteReport(JSON.parse(server.lab.read("unzipped/reports/lite.json")) as Json);
      const [line] = server.lab.read("unzipped/files.json").trim().split("\n");
      const dropped = JSON.parse(line!) as { path: string; filepath: string; pids: number[] };
      assert.deepEqual([dropped.filepath.split("\\").at(-1), dropped.pids], ["drop", [100]]);
      assert.equal(server.lab.read(join("unzipped", dropped.path)), "dropped");
      assert.ok(server.lab.read("unzipped/shots/0001.png").includes("PNG"));
      assert.equal((await ask(server, `tasks/delete/${ended}/`)).status, 200);
      assert.deepEqual(await read(server, `tasks/view/${ended}/`), { error: true, error_value: "Task not found in database" }); // prettier-ignore
    });
  });

  test("is told of a wrong tag by the text that it looks for", async () => {
    await withServer({}, async (server) => {
      const body = fileForm("a.bin", "x", { tags: "win10,x64" });
      const { error, error_value: text, errors } = await read(server, "tasks/create/file/", { method: "POST", body });
      assert.deepEqual([error, text], [true, "Error adding task to database"]);
      const [[wrong]] = (errors as Json[]).map((each) => Object.values(each)) as [[{ error: string }]];
      assert.ok(wrong.error.includes("Check Tags help, you have introduced incorrect tag(s)."));
    });
  });
});

describe("IntelOwl's analyzer", () => {
  test("submits, waits for the report by the bare state, and reads it, without the last slash", async () => {
    await withServer({}, async (server) => {
      const fields = { options: "", package: "", timeout: "180", priority: "1", machine: "", platform: "", memory: "False", enforce_timeout: "True", custom: "", tags: "", route: "", unique: "True" }; // prettier-ignore
      const created = await read(server, "tasks/create/file/", { method: "POST", body: fileForm("sample.bin", "MZ", fields) }); // prettier-ignore
      const [id] = (created.data as { task_ids: [number] }).task_ids;
      const { data, error } = await read(server, `tasks/status/${id}`);
      assert.ok(
        !error && ["pending", "running", "completed", "failed_analysis"].includes(data as string),
        String(data),
      );
      await server.untilEnded(id);
      assert.deepEqual(await read(server, `tasks/status/${id}`), { error: false, data: "failed_analysis" });
      // The same file again: it takes the task that there is.
      const again = await read(server, "tasks/create/file/", { method: "POST", body: fileForm("sample.bin", "MZ", fields) }); // prettier-ignore
      assert.deepEqual(Object.values((again.errors as Json[])[0]!), ["Not unique, as unique option set on submit or in conf/web.conf"]); // prettier-ignore
      const found = await read(server, "tasks/search/md5/ac6ad5d9b99757c3a878f2d275ace198");
      assert.deepEqual(
        (found.data as Json[]).map((task) => task.id),
        [id],
      );
      const ended = server.add(MADE);
      const report = await read(server, `tasks/get/report/${ended}/litereport`);
      assert.ok(!("error" in report));
      checkLiteReport(report);
    });
  });

  test("waits on exactly the text of a report that is not there yet", async () => {
    await withServer({ mostRunning: 1 }, async (server) => {
      const { ids } = await server.read<{ ids: [number] }>("analyst", "/api/v1/analyses", { method: "POST", body: JSON.stringify({ command: "sleep 30" }), headers: { "content-type": "application/json" } }); // prettier-ignore
      const id = ids[0];
      assert.deepEqual(await read(server, `tasks/get/report/${id}/litereport`), { error: true, error_value: "Task is still being analyzed" }); // prettier-ignore
      while ((await read(server, `tasks/status/${id}/`)).data !== "running") await new Promise((resolve) => setTimeout(resolve, 50)); // prettier-ignore
      const finish = { method: "POST", body: new URLSearchParams({ status: "finish" }) };
      // It is running by its phase from the wait for a machine on.
      for (let ended = false; !ended;) {
        await read(server, `tasks/status/${id}/`, finish);
        ended = (await server.untilEnded(id)).state === "cancelled";
      }
      assert.equal((await read(server, `tasks/status/${id}/`)).data, "reported");
      assert.deepEqual(await read(server, "tasks/get/report/999/litereport"), { error: true, error_value: "Task does not exist" }); // prettier-ignore
    });
  });
});

describe("CAPE's own dist.py", () => {
  test("registers a node, gives it tasks, lists those that are done, and deletes them", async () => {
    await withServer({}, async (server) => {
      assert.deepEqual((await read(server, "exitnodes/")).data, ["inetsim"]);
      const machines = (await read(server, "machines/list/")).data as Json[];
      assert.ok(machines.every(({ name, platform, tags }) => name && platform && Array.isArray(tags)));
      const { tasks } = (await read(server, "cuckoo/status/")).data as { tasks: Json };
      for (const name of ["reported", "pending", "running", "completed"]) assert.equal(typeof tasks[name], "number", name); // prettier-ignore
      const fields = { options: "main_task_id=77", package: "", timeout: "60", priority: "1", machine: "", platform: "", tags: "", custom: "", memory: "0", clock: "", enforce_timeout: "0", route: "", tlp: "" }; // prettier-ignore
      const created = await read(server, "tasks/create/file/", { method: "POST", body: fileForm("a", "x", fields) });
      assert.equal((created.data as { task_ids: number[] }).task_ids.length, 1);
      const ids = [server.add(MADE), server.add({ ...MADE, content: "other" })];
      const listed = await read(server, "tasks/list/?status=reported&ids=True");
      assert.deepEqual((listed.data as Json[]).map(({ id }) => id).toSorted(), ids);
      const body = new URLSearchParams({ ids: [...ids, 999].join(","), delete_mongo: "False" });
      const deleted = await read(server, "tasks/delete_many/", { method: "POST", body });
      assert.deepEqual(deleted, { [ids[0]!]: "deleted", [ids[1]!]: "deleted", 999: "not exists", status: "OK" });
    });
  });
});

describe("other clients of CAPE", () => {
  test("get a token for a name and a password, as Django gives one", async () => {
    await withServer({}, async ({ url }) => {
      const get = (password: string) => fetch(`${url}/apiv2/api-token-auth/`, { method: "POST", body: new URLSearchParams({ username: "analyst", password }) }); // prettier-ignore
      const { token } = (await (await get(PASSWORD)).json()) as { token: string };
      assert.equal((await fetch(`${url}/apiv2/machines/list/`, { headers: { authorization: `Token ${token}` } })).status, 200); // prettier-ignore
      assert.equal((await get("wrong password")).status, 400);
      const refused = await fetch(`${url}/apiv2/machines/list/`, { headers: { authorization: "Token x" } });
      assert.equal(refused.status, 401);
      assert.equal(typeof ((await refused.json()) as { detail: string }).detail, "string");
    });
  });

  test("fetch files, pictures and machines, and are told what rebox does not do", async () => {
    await withServer({}, async (server) => {
      const id = server.add(MADE);
      const bytes = await ask(server, `files/get/task/${id}`);
      assert.equal(await bytes.text(), MADE.content);
      const { data } = (await read(server, `files/view/id/${id}/`)) as { data: { sha256: string } };
      assert.equal((await ask(server, `files/get/sha256/${data.sha256}`)).status, 200);
      assert.equal((await ask(server, `tasks/get/screenshot/${id}/0/`)).headers.get("content-type"), "image/png");
      assert.equal((await ask(server, `tasks/get/screenshot/${id}/`)).headers.get("content-type"), "application/zip");
      assert.equal(((await read(server, "machines/view/office")).data as Json).label, "office");
      assert.ok(((await read(server, `tasks/get/report/${id}/json/`)).info as Json).id);
      assert.equal((await ask(server, `tasks/get/report/${id}/pdf/`)).status, 400);
      const form = (fields: Record<string, string>) => ({ method: "POST", body: fileForm("a", "x", fields) });
      for (const [path, init] of [
        ["tasks/create/url/", { method: "POST", body: new URLSearchParams({ url: "http://x" }) }],
        ["tasks/create/static/", form({})],
        ["tasks/create/file/", form({ pcap: "1" })],
        ["tasks/create/file/", form({ route: "tor" })],
        ["tasks/create/file/", form({ machine: "none" })],
        ["tasks/create/file/", form({ route: "internet" })],
        ["tasks/get/pcap/1/", {}],
      ] as const) {
        // prettier-ignore
        const { error, error_value: text } = await read(server, path, init);
        assert.deepEqual([error, typeof text], [true, "string"], path);
      }
      const list = await read(server, "tasks/list/5/0/");
      assert.equal((list.data as Json[]).length, 1);
    });
  });
});
