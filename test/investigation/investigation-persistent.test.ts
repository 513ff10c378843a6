import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Alert } from "../../src/investigation/persistent/host";
import { runOperation, runOperations } from "../../src/investigation/run-operations";
import { type InvestigationFolder, withModules } from "../kit/investigations/investigation-folder";
import { PROJECT } from "../kit/project";

const SHIPPED = join(PROJECT, "modules/investigation");
/** Short enough for a test, long enough for a busy machine. */
const TIMES = { pingMs: 20, pongMs: 400, restartMs: 30, endMs: 500 };

/** A module that counts its queries, and does odd things when it is told to. */
const COUNTER = `
  import { PersistentInvestigation, registerInvestigation, z } from "rebox/investigation";
  const Parameters = z.strictObject({ act: z.enum(["count", "crash", "hang", "hang query", "unknown", "alert"]).default("count") });
  class Counter extends PersistentInvestigation<{ start?: string }, z.infer<typeof Parameters>> {
    protected readonly configSchema = z.looseObject({ start: z.string().optional() });
    protected readonly schema = Parameters;
    private count = 0;
    private hangs = false;
    protected start() {
      const all = globalThis as any;
      all.counterLives = (all.counterLives ?? 0) + 1;
      this.context.own(() => { all.counterLives--; });
      setInterval(() => { all.counterTicks = (all.counterTicks ?? 0) + 1; }, 5);
      if (this.config.start === "never") return new Promise<void>(() => undefined);
    }
    protected ping() { return this.hangs ? new Promise<void>(() => undefined) : undefined; }
    protected async query({ act }: z.infer<typeof Parameters>) {
      const mine = ++this.count;
      if (act === "crash") setTimeout(() => this.fail(), 1);
      if (act === "hang") this.hangs = true;
      if (act === "hang query") await new Promise(() => undefined);
      if (act === "unknown") this.write('{"class":"nonsense"}');
      if (act === "alert") this.context.alert("high", "look here");
      await new Promise((r) => setImmediate(r));
      return { found: true, elements: mine, statistics: { config: this.config } };
    }
    private write: (line: string) => void = () => undefined;
    private fail: () => void = () => undefined;
    override runPersist(input: any, write: any) {
      this.write = write;
      return Promise.race([super.runPersist(input, write), new Promise<void>((_, reject) => { this.fail = () => reject(new Error("it crashed")); })]);
    }
  }
  registerInvestigation("counter", { newPersistentRun: (context) => new Counter(context) });
`;

function lives(): number {
  return (globalThis as { counterLives?: number }).counterLives ?? 0;
}

async function ask(folder: InvestigationFolder, act = "count") {
  return (await runOperation(folder, { module: "counter", parameters: { act } })).result;
}

/** Waits for something that happens in its own time; the test's own time limit is the end of it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

async function untilRunning({ persistent }: InvestigationFolder, starts = 1): Promise<void> {
  await until(() => persistent.list().some((info) => info.state === "running" && info.starts >= starts));
}

test("a persistent module is registered once it has started; before that, and without a start, a query is refused", async () => {
  await withModules({ "counter.ts": COUNTER }, async (folder) => {
    const without = await runOperation(folder, { module: "counter", parameters: {} });
    assert.match(without.result.errors![0]!, /^module counter is not registered/);
    folder.write("conf/counter.cfg", "[counter]\nstart = never\n");
    await folder.persistent.start("counter");
    assert.deepEqual(folder.persistent.list()[0]?.state, "starting");
    assert.deepEqual((await ask(folder)).errors, ["module counter is not registered"]);
    await assert.rejects(folder.persistent.start("counter"), /^ModuleError: the module counter is there already$/);
    await assert.rejects(folder.persistent.start("countre"), /is not available; do you mean counter\?/);
  });
});

test("queries reach the living instance, which keeps its state; twenty at once are answered each", async () => {
  await withModules(
    { "counter.ts": COUNTER },
    async (folder) => {
      await folder.persistent.start("counter");
      await untilRunning(folder);
      assert.equal((await ask(folder)).elements, 1);
      assert.equal((await ask(folder)).elements, 2);
      const operations = Array.from({ length: 20 }, () => ({ module: "counter", parameters: {} }));
      const { status, outcomes } = await runOperations(folder, operations);
      assert.equal(status, "success");
      assert.deepEqual(
        outcomes.map(({ result }) => result.elements),
        operations.map((_, index) => index + 3),
      );
    },
    { times: { ...TIMES, pongMs: 60_000 }, log: () => undefined, onAlert: () => undefined },
  );
});

test("a query that means nothing, or is stopped, leaves the module alive", async () => {
  await withModules(
    { "counter.ts": COUNTER },
    async (folder) => {
      await folder.persistent.start("counter");
      await untilRunning(folder);
      const lines = ["", "{", '{"class":"config"}', '{"class":"parameters","parameters":"!"}'];
      for (const line of [...lines, '{"class":"parameters","parameters":{"act":1}}']) {
        const { result } = await runOperation(folder, { module: "counter", line });
        assert.deepEqual([result.success, result.errors?.length], [false, 1], line);
      }
      const stop = new AbortController();
      const hanging = runOperation(
        folder,
        { module: "counter", parameters: { act: "hang query" } },
        { stop: stop.signal },
      );
      setTimeout(() => stop.abort(), 20);
      const stopped = await hanging;
      assert.deepEqual(
        [stopped.status, stopped.result.errors],
        ["cancelled", ["stop message received, terminating early"]],
      );
      const late = await runOperation(
        folder,
        { module: "counter", parameters: { act: "hang query" } },
        { timeoutMs: 50 },
      );
      assert.equal(late.status, "timeout");
      assert.equal((await ask(folder)).elements, 3);
      assert.equal(folder.persistent.list()[0]?.starts, 1);
    },
    { times: { ...TIMES, pongMs: 60_000 }, log: () => undefined, onAlert: () => undefined },
  );
});

for (const [act, reason] of [
  ["crash", /it crashed/],
  ["hang", /no answer to a ping/],
  ["unknown", /unknown message: its class is "nonsense"/],
] as const) {
  test(`an instance that does "${act}" is ended with all that is its own, and there is a new one with a state of its own`, async () => {
    const log: string[] = [];
    await withModules(
      { "counter.ts": COUNTER },
      async (folder) => {
        await folder.persistent.start("counter");
        await untilRunning(folder);
        await ask(folder);
        await ask(folder, act);
        await untilRunning(folder, 2);
        assert.equal(lives(), 1);
        assert.equal((await ask(folder)).elements, 1);
        assert.match(folder.persistent.list()[0]!.failure!, reason);
        assert.match(log.join("\n"), reason);
      },
      { times: TIMES, log: (text) => log.push(text), onAlert: () => undefined },
    );
    assert.equal(lives(), 0);
  });
}

test("the end leaves nothing behind: no instance, no timer, no registration", async () => {
  await withModules({ "counter.ts": COUNTER }, async (folder) => {
    await folder.persistent.start("counter");
    await untilRunning(folder);
    const waiting = runOperation(folder, { module: "counter", parameters: { act: "hang query" } });
    await sleep(10);
    await folder.persistent.end("counter");
    assert.match((await waiting).result.errors![0]!, /module counter has ended/);
    const ticks = (globalThis as { counterTicks?: number }).counterTicks;
    await sleep(50);
    assert.equal((globalThis as { counterTicks?: number }).counterTicks, ticks);
    assert.equal(lives(), 0);
    assert.deepEqual(folder.persistent.list(), []);
    await assert.rejects(folder.persistent.end("counter"), /^ModuleError: module counter is not registered$/);
  });
});

test("the configuration comes first: switches, numbers and texts, names that stand twice, sections; a broken one is said", async () => {
  await withModules({ "counter.ts": COUNTER }, async (folder) => {
    const text = "[counter]\nyes = on\nnumber = 30\ntext = 30s\n[paths]\npath = /etc\npath = recursive:/bin\n";
    folder.write("conf/counter.cfg", text);
    await folder.persistent.start("counter");
    await untilRunning(folder);
    const { config } = (await ask(folder)).statistics as { config: object };
    const paths = { path: ["/etc", "recursive:/bin"] };
    assert.deepEqual(config, { yes: true, number: 30, text: "30s", paths });
    await folder.persistent.end("counter");
    folder.write("conf/counter.cfg", "no section\n");
    await folder.persistent.start("counter");
    assert.match(folder.persistent.list()[0]!.failure!, /counter\.cfg:1/);
  });
});

test("examplepersist echoes, counts, has MIG's interval where none that works is given, and refuses an empty string", async () => {
  await withModules({}, async (folder) => {
    folder.write("modules/investigation/_none", "");
    copyFileSync(join(SHIPPED, "examplepersist.ts"), join(folder.folder, "modules/investigation/examplepersist.ts"));
    const query = async (parameters: object) =>
      await runOperation(folder, { module: "examplepersist", parameters }, { print: "all" });
    for (const [config, interval] of [
      ["", 30],
      ["[examplepersist]\ninterval = 0\n", 30],
      ["[examplepersist]\ninterval = -5\n", 30],
      ["[examplepersist]\ninterval = 7\n", 7],
    ] as const) {
      folder.write("conf/examplepersist.cfg", config);
      await folder.persistent.start("examplepersist");
      await untilRunning(folder);
      const { result, printed } = await query({ string: "hello" });
      assert.deepEqual(result.elements, { string: "hello" });
      assert.deepEqual(result.statistics, { queries: 1, ticks: 0, interval });
      assert.deepEqual(printed, ["string is hello", "stat: 1 queries answered"]);
      assert.deepEqual((await query({ string: "" })).result.errors, ["string must not be empty"]);
      await folder.persistent.end("examplepersist");
    }
  });
});

test("alerts go to whoever runs the modules, and to dispatch when it is there, which drops what is too much and says how much", async () => {
  const alerts: Alert[] = [];
  const received: Alert[] = [];
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolveHeld) => (release = resolveHeld));
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      received.push(JSON.parse(body) as Alert);
      void held.then(() => response.end("thanks"));
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  try {
    await withModules(
      { "counter.ts": COUNTER },
      async (folder) => {
        copyFileSync(join(SHIPPED, "dispatch.ts"), join(folder.folder, "modules/investigation/dispatch.ts"));
        folder.write("conf/dispatch.cfg", `[dispatch]\nhttpurl = http://127.0.0.1:${port}/\nchannelsize = 2\n`);
        await folder.persistent.start("counter");
        await untilRunning(folder);
        await ask(folder, "alert");
        assert.deepEqual(
          alerts.map(({ module, level, text }) => [module, level, text]),
          [["counter", "high", "look here"]],
        );
        await folder.persistent.start("dispatch");
        await until(() => folder.persistent.list().every(({ state }) => state === "running"));
        for (let count = 0; count < 5; count++) await ask(folder, "alert");
        const look = async () => {
          // Others must have their turn: a query takes none.
          await sleep(1);
          return (await runOperation(folder, { module: "dispatch", parameters: {} })).result.statistics as Record<
            string,
            number
          >;
        };
        let statistics = await look();
        while (statistics.dropped! < 3) statistics = await look();
        assert.deepEqual(statistics, { sent: 0, failed: 0, dropped: 3, waiting: 2 });
        release();
        while (statistics.sent! < 2) statistics = await look();
        assert.equal(received.length, 2);
        assert.deepEqual([received[0]?.module, received[0]?.text], ["counter", "look here"]);
        assert.equal(alerts.length, 1);
      },
      { times: { ...TIMES, pongMs: 60_000 }, log: () => undefined, onAlert: (alert) => alerts.push(alert) },
    );
  } finally {
    release();
    server.closeAllConnections();
    server.close();
  }
});
