import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { getArchiveProgram } from "../../src/lab/analysis/export/archive-program";
import { VERDICT } from "../kit/server/made-analysis";
import { fileForm, jsonOf, type TestServer, withServer } from "../kit/server/test-server";

interface Listed {
  readonly analyses: readonly { readonly id: number; readonly state: string }[];
  readonly next: number | null;
}

const idsOf = ({ analyses }: Listed) => analyses.map(({ id }) => id);

async function submitCommand({ read }: TestServer, command: string, more: object = {}): Promise<number> {
  const { ids } = await read<{ ids: [number] }>(
    "analyst",
    "/api/v1/analyses",
    jsonOf({ command, timeout: 60, ...more }),
  );
  return ids[0];
}

/** Reads server-sent events to the end of the stream. */
async function readStream(
  answer: Response,
): Promise<{ readonly event: string; readonly id: string; readonly data: Record<string, unknown> }[]> {
  // prettier-ignore
  const text = await answer.text();
  return text.split("\n\n").flatMap((block) => {
    const member = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
    const [event, data] = [member("event"), member("data")];
    return event === undefined || data === undefined ? [] : [{ event, id: member("id") ?? "", data: JSON.parse(data) as Record<string, unknown> }]; // prettier-ignore
  });
}

describe("an analysis", () => {
  test("is asked for by HTTP, made by a process of its own, and read by HTTP", async () => {
    await withServer({}, async (server) => {
      const { read, untilEnded, ask } = server;
      const id = await submitCommand(server, "echo hello", { machine: "office", note: "case 7", priority: 3 });
      assert.deepEqual(await untilEnded(id), { state: "finished", reason: "the command ended with status 0" });
      const analysis = await read<Record<string, unknown>>("reader", `/api/v1/analyses/${id}`);
      assert.deepEqual(
        [analysis.by, analysis.machine, analysis.command, analysis.note, analysis.priority, analysis.target],
        ["analyst", "office", "echo hello", "case 7", 3, null],
      );
      const report = await read<{ analysis: { id: number; outcome: string } }>("reader", `/api/v1/analyses/${id}/report.json`); // prettier-ignore
      assert.deepEqual([report.analysis.id, report.analysis.outcome], [id, "finished"]);
      assert.match(
        await (await ask("reader", `/api/v1/analyses/${id}/report.html`)).text(),
        /<title>Analysis 1: echo hello/,
      );
      const again = await read<{ ids: [number] }>("analyst", `/api/v1/analyses/${id}/repeat`, { method: "POST" });
      assert.equal((await untilEnded(again.ids[0])).state, "finished");
      assert.equal((await ask("analyst", `/api/v1/analyses/${id}`, { method: "DELETE" })).status, 204);
      assert.equal((await ask("reader", `/api/v1/analyses/${id}`)).status, 404);
    });
  });

  test("of a file has its hashes at once, and is on each machine that is named", async () => {
    await withServer({ mostRunning: 1 }, async ({ ask, read, lab }) => {
      const form = fileForm("s.sh", "#!/bin/sh\n");
      form.append("machine", "office");
      form.append("machine", "spare");
      const answer = await ask("analyst", "/api/v1/analyses", { method: "POST", body: form });
      assert.deepEqual(await answer.json(), { ids: [1, 2] });
      const sha256 = "25cd27c65a8c92a6eb9b0d0c1ed6bb7e0c7eb3a3b1b0de59ed33ac63e2fd2e2a";
      const { analyses } = await read<{ analyses: { target: { name: string; sha256: string; size: number } }[] }>("reader", "/api/v1/analyses"); // prettier-ignore
      assert.deepEqual(analyses.map(({ target }) => [target.name, target.size, target.sha256.length]), [["s.sh", 10, sha256.length], ["s.sh", 10, sha256.length]]); // prettier-ignore
      const found = await read<Listed>("reader", `/api/v1/analyses?hash=${analyses[0]!.target.sha256.toUpperCase()}`);
      assert.deepEqual(idsOf(found), [2, 1]);
      assert.equal(lab.read(`samples/${analyses[0]!.target.sha256}/s.sh`), "#!/bin/sh\n");
    });
  });

  test("that cannot be is refused with the reason", async () => {
    await withServer({}, async ({ ask }) => {
      const refusals: readonly (readonly [object, number, RegExp])[] = [
        [{}, 400, /nothing to analyse/],
        [{ command: "id", machine: "nowhere" }, 400, /there is no machine nowhere; there are office, spare/],
        [{ command: "id", machine: "office", platform: "linux" }, 400, /leave out either/],
        [{ command: "id", member: "a" }, 400, /archive/],
        [{ command: "id", timeout: 0 }, 400, /timeout/],
        [{ command: "id", network: "everything" }, 400, /none, simulated, user or bridge/],
        [{ command: "id", network: "user" }, 403, /only administrators/],
        [{ command: "id", options: "x" }, 400, /NAME=VALUE/],
        [{ command: "id", folder: "relative" }, 400, /folder/],
      ];
      for (const [fields, status, text] of refusals) {
        const answer = await ask("analyst", "/api/v1/analyses", jsonOf(fields));
        const { error } = (await answer.json()) as { error: { code: string; message: string } };
        assert.deepEqual([answer.status, text.test(error.message)], [status, true], `${JSON.stringify(fields)}: ${error.message}`); // prettier-ignore
        assert.match(error.code, /^REBOX_/);
      }
    });
  });

  test("is ended early, whether it waits or runs", async () => {
    await withServer({ mostRunning: 1 }, async (server) => {
      const running = await submitCommand(server, "sleep 50");
      const waiting = await submitCommand(server, "true");
      const { read, untilEnded, ask } = server;
      const cancel = (id: number) => ask("analyst", `/api/v1/analyses/${id}/cancel`, { method: "POST" });
      const phaseOf = async (id: number) => (await read<{ phase: string }>("reader", `/api/v1/analyses/${id}`)).phase;
      while ((await phaseOf(running)) !== "running") await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(await phaseOf(waiting), "queued");
      assert.equal((await cancel(waiting)).status, 202);
      assert.deepEqual(await untilEnded(waiting), { state: "cancelled", reason: "cancelled by analyst" });
      assert.equal((await ask("analyst", `/api/v1/analyses/${running}`, { method: "DELETE" })).status, 409);
      assert.equal((await cancel(running)).status, 202);
      assert.deepEqual(await untilEnded(running), { state: "cancelled", reason: "cancelled by analyst" });
      assert.equal((await cancel(running)).status, 409);
      assert.equal((await cancel(999)).status, 404);
    });
  });
});

describe("a search", () => {
  test("finds by hash, name, signature, technique, address, domain, text of acts, verdict and state, page by page", async () => {
    await withServer({}, async ({ add, read }) => {
      const evil = add({ name: "dropper.bin", content: "evil", verdict: VERDICT, domains: ["c2.example"], events: [{ type: "network.connected", pid: 100, process: "sample", protocol: "tcp", address: "203.0.113.9", port: 443 }] }); // prettier-ignore
      const plain = add({ name: "letter.txt", content: "plain" });
      const find = async (query: string) => idsOf(await read<Listed>("reader", `/api/v1/analyses?${query}`));
      const md5 = "4f49ecab5ce3c7de8ee9c3f9bb39fbf8";
      const finds: readonly (readonly [string, readonly number[]])[] = [
        ["name=dropper", [evil]],
        ["name=%25", []],
        ["signature=hides", [evil]],
        ["technique=t1564", [evil]],
        ["technique=T1564.001", [evil]],
        ["technique=T156", []],
        ["indicator=c2.example", [evil]],
        ["indicator=203.0.113.9", [evil]],
        ["text=203.0.113.9", [evil]],
        ["text=DROPPER", [evil]],
        ["text=./letter.t", [plain]],
        ["text=etter.txt", []],
        // Of two texts, the end of one and the beginning of the next are no text.
        ["text=tcp 203.0.113.9", []],
        ["text=%00", []],
        ["text=%22%20OR%20sample%22", []],
        ["text=sample", [plain, evil]],
        ["judgement=malicious", [evil]],
        ["state=finished", [plain, evil]],
        ["state=waiting", []],
        ["machine=office&by=analyst", [plain, evil]],
        [`hash=${md5}`, []],
      ];
      for (const [query, ids] of finds) assert.deepEqual(await find(query), ids, query);
      const first = await read<Listed>("reader", "/api/v1/analyses?limit=1");
      const second = await read<Listed>("reader", `/api/v1/analyses?limit=1&before=${first.next}`);
      assert.deepEqual([idsOf(first), idsOf(second)], [[plain], [evil]]);
      const statistics = await read<{ states: object; judgements: object; findings: object[] }>("reader", "/api/v1/statistics"); // prettier-ignore
      assert.deepEqual(statistics.judgements, { malicious: 1 });
      assert.deepEqual(statistics.findings, [{ name: "hides-files", title: "It hides files", count: 1 }]);
    });
  });
});

describe("events", () => {
  const events = Array.from({ length: 500 }, (_, at) => ({ type: at % 5 === 0 ? "file.removed" : "file.written", pid: 100 + (at % 2), process: "sample", path: `/tmp/${at}` })); // prettier-ignore

  test("are read page by page, and filtered by type, pid and text", async () => {
    await withServer({}, async ({ add, read }) => {
      const id = add({ events });
      const page = (query: string) => read<{ events: { type: string; path?: string }[]; next: number | null }>("reader", `/api/v1/analyses/${id}/events?${query}`); // prettier-ignore
      const seen: string[] = [];
      let after: number | null = 0;
      while (after !== null) {
        const { events: some, next }: Awaited<ReturnType<typeof page>> = await page(
          `type=file.&limit=70&after=${after}`,
        );
        seen.push(...some.map(({ path }) => path!));
        after = next;
      }
      assert.deepEqual(
        seen,
        events.map(({ path }) => path),
      );
      assert.equal((await page("type=file.removed&limit=1000")).events.length, 100);
      assert.equal((await page("type=file&limit=1000")).events.length, 0);
      assert.equal((await page("pid=101&limit=1000")).events.length, 250);
      assert.deepEqual(
        (await page("text=/tmp/499")).events.map(({ path }) => path),
        ["/tmp/499"],
      );
      // An offset in the middle of a line is as one behind it; one behind the end has nothing.
      assert.ok((await page("after=5")).events.every(({ type }) => typeof type === "string"));
      assert.deepEqual((await page("after=999999999")).events, []);
    });
  });

  test("come as a stream while they happen, which goes on where it was left", async () => {
    await withServer({}, async (server) => {
      const id = await submitCommand(server, "sleep 1; echo done");
      const whole = await readStream(await server.ask("reader", `/api/v1/analyses/${id}/events/stream`));
      const phases = whole.filter(({ event }) => event === "event").map(({ data }) => data.phase);
      assert.ok(phases.includes("running") && phases.includes("reporting"), JSON.stringify(phases));
      assert.equal(whole.at(-1)!.event, "end");
      assert.equal(whole.at(-1)!.data.outcome, "finished");
      // It has ended since: its events may have another order.
      const last = whole.filter(({ id: each }) => each !== "")[0]!.id;
      const stream = (header: string) => server.ask("reader", `/api/v1/analyses/${id}/events/stream`, { headers: { "last-event-id": header } }); // prettier-ignore
      const resumed = await readStream(await stream(last));
      assert.equal(resumed[0]!.event, "restart");
      const all = resumed.filter(({ event }) => event === "event");
      assert.equal(all.length, phases.length);
      const rest = await readStream(await stream(all[1]!.id));
      assert.deepEqual(rest.filter(({ event }) => event === "event").map(({ id: each }) => each), all.slice(2).map(({ id: each }) => each)); // prettier-ignore
    });
  });
});

describe("results", () => {
  test("are compared, exported and sent as archives", async () => {
    await withServer({}, async ({ add, read, ask, lab }) => {
      const made = { artefacts: { "/tmp/a": "one", "/tmp/b": "two" }, verdict: VERDICT, hasPicture: true };
      const one = add({ ...made, events: [{ type: "file.written", pid: 100, process: "sample", path: "/etc/one" }] });
      const other = add({ events: [{ type: "file.written", pid: 100, process: "sample", path: "/etc/other" }] });
      const { analyses } = await read<{ analyses: { only: { facts: string }[] }[] }>("reader", `/api/v1/compare?one=${one}&other=${other}`); // prettier-ignore
      assert.deepEqual(analyses.map(({ only }) => only.map(({ facts }) => facts)), [["path=/etc/one"], ["path=/etc/other"]]); // prettier-ignore
      const { screenshots } = await read<{ screenshots: string[] }>("reader", `/api/v1/analyses/${one}/screenshots`);
      const picture = await ask("reader", `/api/v1/analyses/${one}/screenshots/${screenshots[0]}`);
      assert.deepEqual([picture.headers.get("content-type"), Buffer.from(await picture.arrayBuffer()).toString("latin1", 1, 4)], ["image/png", "PNG"]); // prettier-ignore
      const unzip = async (path: string, ...options: readonly string[]) => {
        const answer = await ask("reader", path);
        assert.equal(answer.status, 200, await answer.clone().text());
        const file = join(lab.folder, "got.zip");
        writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
        return execFileSync(getArchiveProgram(), ["x", "-so", "-bsp0", ...options, file], { encoding: "latin1" });
      };
      assert.match(await unzip(`/api/v1/analyses/${one}/artefacts`, "-pinfected"), /^(onetwo|twoone)$/);
      assert.match(await unzip(`/api/v1/analyses/${one}/artefacts?password=no`), /^(onetwo|twoone)$/);
      assert.match(await unzip(`/api/v1/analyses/${one}/export/zip`, "-pinfected"), /"outcome": "finished"/);
      assert.equal(await unzip(`/api/v1/analyses/${one}/target`, "-pinfected"), "#!/bin/sh\n");
      const trace = await ask("reader", `/api/v1/analyses/${one}/export/perfetto`);
      assert.deepEqual([trace.status, trace.headers.get("content-type")], [200, "application/octet-stream"]);
      const misp = await read<{ Event: { info: string } }>("reader", `/api/v1/analyses/${one}/export/misp`);
      assert.equal(misp.Event.info, "rebox: sample");
      const layer = await read<{ techniques: { techniqueID: string }[] }>("reader", `/api/v1/analyses/${one}/export/navigator`); // prettier-ignore
      assert.deepEqual(
        layer.techniques.map(({ techniqueID }) => techniqueID),
        ["T1564.001"],
      );
      const none = await ask("reader", `/api/v1/analyses/${other}/export/navigator`);
      assert.match(await none.text(), /has no verdict/);
    });
  });
});

describe("the server", () => {
  test("describes its API as OpenAPI, in which each route of the API is", async () => {
    await withServer({}, async ({ read, server }) => {
      const document = await read<{ openapi: string; paths: Record<string, Record<string, { operationId: string; responses: object }>> }>("reader", "/api/v1/openapi.json"); // prettier-ignore
      assert.equal(document.openapi, "3.1.0");
      const described = Object.entries(document.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+|\*)\}/g, ":$1")}`)); // prettier-ignore
      // OpenAPI has no form for a WebSocket.
      const isLeftOut = (url: string) => /\/(openapi\.json|screen|console)$/.test(url);
      const routes = server.routes.filter(({ method, url }) => method !== "HEAD" && /^\/(api\/v1|health|metrics)/.test(url) && !isLeftOut(url)); // prettier-ignore
      assert.deepEqual(described.toSorted(), routes.map(({ method, url }) => `${method} ${url.replace("/*", "/:*")}`).toSorted()); // prettier-ignore
      const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
      assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length);
      assert.ok(operations.every(({ responses }) => Object.keys(responses).length > 0));
    });
  });

  test("tells its machines, takes them out of the pool and puts them back, and measures itself for Prometheus", async () => {
    await withServer({}, async ({ read, ask }) => {
      const list = async () => (await read<{ machines: { name: string; state: string; isEnabled: boolean; note: string }[] }>("reader", "/api/v1/machines")).machines; // prettier-ignore
      assert.deepEqual((await list()).map(({ name, state, isEnabled }) => [name, state, isEnabled]), [["office", "poweroff", true], ["spare", "poweroff", true]]); // prettier-ignore
      assert.equal((await ask("administrator", "/api/v1/machines/office/disable", jsonOf({ reason: "a new disk" }))).status, 200); // prettier-ignore
      assert.match((await list())[0]!.note, /a new disk/);
      const metrics = await (await ask("reader", "/metrics")).text();
      assert.match(metrics, /^rebox_machines_disabled 1$/m);
      assert.match(metrics, /^rebox_http_answers_total\{class="2xx"\} \d+$/m);
      for (const line of metrics.trim().split("\n")) assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.e+]+)$/); // prettier-ignore
      assert.equal((await ask("administrator", "/api/v1/machines/office/enable", { method: "POST" })).status, 200);
      assert.equal((await list())[0]!.isEnabled, true);
      assert.equal((await ask("administrator", "/api/v1/machines/nothing/enable", { method: "POST" })).status, 404);
    });
  });
});
