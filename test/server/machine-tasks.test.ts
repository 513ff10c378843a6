import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { jsonOf, type TestServer, withServer } from "../kit/server/test-server";

interface Details {
  readonly state: string;
  readonly task: { readonly action: string; readonly by: string; readonly isRunning: boolean; readonly status: number | null; readonly text: string } | null; // prettier-ignore
}

/** Waits until nothing is done with a machine any more. */
async function untilDone({ read }: TestServer, name: string): Promise<Details> {
  for (;;) {
    const details = await read<Details>("reader", `/api/v1/machines/${name}`);
    if (details.task?.isRunning === false) return details;
    await sleep(50);
  }
}

describe("a machine", () => {
  test("is started and stopped by administrators, and what went wrong is told", async () => {
    await withServer({}, async (server) => {
      const act = (role: "analyst" | "administrator", action: string, name = "office") => server.ask(role, `/api/v1/machines/${name}/${action}`, jsonOf({})); // prettier-ignore
      assert.equal((await act("analyst", "start")).status, 403);
      assert.equal((await act("administrator", "start", "nowhere")).status, 404);
      assert.equal((await act("administrator", "start")).status, 202);
      const started = await untilDone(server, "office");
      assert.deepEqual([started.task!.action, started.task!.by, started.task!.status], ["start", "administrator", 0], started.task!.text); // prettier-ignore
      assert.equal((await server.read<Details>("reader", "/api/v1/machines/office")).state, "running");
      await act("administrator", "start");
      const again = await untilDone(server, "office");
      assert.equal(again.task!.status, 1);
      assert.match(again.task!.text, /office is running; stop it first/);
      await act("administrator", "stop");
      assert.equal((await untilDone(server, "office")).state, "poweroff");
      // Machines of this machinery cannot be frozen.
      assert.equal((await act("administrator", "prepare")).status, 202);
      assert.match((await untilDone(server, "office")).task!.text, /machines of quick cannot be frozen/);
      const { entries } = await server.read<{ entries: { action: string }[] }>("administrator", "/api/v1/audit");
      assert.deepEqual(entries.map(({ action }) => action).filter((action) => action.endsWith("machine")), ["prepare machine", "stop machine", "start machine", "start machine"]); // prettier-ignore
    });
  });

  test("has one thing done with it at a time, which is ended early on demand", async () => {
    await withServer({}, async (server) => {
      const place = join(server.lab.folder, "state/office");
      await server.read("reader", "/api/v1/machines/office");
      writeFileSync(join(place, "hold.restoreStart"), "");
      const act = (path: string, method = "POST") => server.ask("administrator", `/api/v1/machines/office/${path}`, { method }); // prettier-ignore
      assert.equal((await act("task", "DELETE")).status, 404);
      assert.equal((await act("start")).status, 202);
      while (!existsSync(join(place, "held.restoreStart"))) await sleep(20);
      const second = await act("stop");
      assert.equal(second.status, 409);
      assert.match(await second.text(), /office: start goes on; wait for its end/);
      assert.equal((await act("task", "DELETE")).status, 202);
      const ended = await untilDone(server, "office");
      assert.notEqual(ended.task!.status, 0);
    });
  });

  test("is asked by administrators, and one that cannot be says why", async () => {
    await withServer({ files: { "modules/investigation/own.ts": "" } }, async ({ ask, read }) => {
      const { modules } = await read<{ modules: string[] }>("reader", "/api/v1/investigations");
      for (const name of ["process", "memory", "own"]) assert.ok(modules.includes(name), `${name} of ${modules.join(", ")}`); // prettier-ignore
      const question = async (machine: string, body: object) => {
        const answer = await ask("administrator", `/api/v1/machines/${machine}/investigate`, jsonOf(body));
        return [answer.status, await answer.text()] as const;
      };
      const [status, text] = await question("office", { module: "process" });
      assert.deepEqual([status, /office/.test(text)], [409, true], text);
      assert.equal((await question("nobody", { module: "process" }))[0], 404);
      const { parameters, help } = await read<{ parameters: { properties: object }; help: string }>("reader", "/api/v1/investigations/process"); // prettier-ignore
      assert.deepEqual(Object.keys(parameters.properties), ["names", "pids", "uids", "kernelthreads"]);
      assert.match(help, /^process lists processes/);
      // Its file registers nothing.
      assert.equal((await ask("reader", "/api/v1/investigations/own")).status, 404);
      for (const body of [{ module: "process", flags: ["-pid", "1"], parameters: {} }, { module: "process", parameters: [] }, { module: "--lab" }, { module: "process", flags: "-name x" }, { module: "process", timeout: 0 }, {}])
        assert.equal((await question("office", body))[0], 400, JSON.stringify(body)); // prettier-ignore
    });
  });

  test("gets no words of a request as options of a command", async () => {
    await withServer({}, async (server) => {
      const prepare = async (body: object) => (await server.ask("administrator", "/api/v1/machines/office/prepare", jsonOf(body))).status; // prettier-ignore
      assert.equal(await prepare({ as: "--replace" }), 400);
      assert.equal(await prepare({ as: "../../x" }), 400);
      assert.equal(await prepare({ from: "-x" }), 400);
      assert.equal((await server.ask("administrator", "/api/v1/machines/--help/start", jsonOf({}))).status, 404);
      assert.equal((await server.ask("administrator", "/api/v1/machines/office/golden/..%2F..%2Fconf", { method: "DELETE" })).status, 409); // prettier-ignore
      assert.ok(existsSync(join(server.lab.folder, "conf")));
      assert.equal(await prepare({ command: ["--lab /"] }), 202);
      assert.match((await untilDone(server, "office")).task!.text, /cannot be frozen/);
    });
  });
});

const DELAY_MS = 4_000;

test("an analysis that is to begin later waits, and then begins by itself", async () => {
  await withServer({}, async (server) => {
    const submit = async (not_before: string) => server.ask("analyst", "/api/v1/analyses", jsonOf({ command: "true", not_before })); // prettier-ignore
    for (const wrong of ["tomorrow", "2026-13-01T00:00:00Z", "2026-01-01"]) assert.equal((await submit(wrong)).status, 400, wrong); // prettier-ignore
    // A host's clock may be set meanwhile: how long it took is told by another.
    const beganMs = performance.now();
    const moment = new Date(Date.now() + DELAY_MS);
    const { ids } = (await (await submit(moment.toISOString())).json()) as { ids: [number] };
    const { ids: next } = (await (await submit("2020-01-01T12:00")).json()) as { ids: [number] };
    // One behind it is not held up.
    await server.untilEnded(next[0]);
    const waiting = await server.read<{ state: string; notBefore: string }>("reader", `/api/v1/analyses/${ids[0]}`);
    if (Date.now() < moment.getTime()) assert.equal(waiting.state, "waiting");
    assert.equal(waiting.notBefore, moment.toISOString());
    await server.untilEnded(ids[0]);
    assert.ok(performance.now() - beganMs >= DELAY_MS - 100);
  });
});
