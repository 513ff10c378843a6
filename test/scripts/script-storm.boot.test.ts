import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { HmpClient } from "../kit/clients/hmp-client";
import { type MonitoredGuest, withMonitors } from "../kit/terminal/monitor-run";

const ORDERS = ["abc", "acb", "bac", "bca", "cab", "cba"];
/** Of clean() and calls that do not end, in milliseconds: what a script may take before it is cut off. */
const CALLBACK_LIMIT_MS = 1000;

/** Hears every block and every change of the address space, has a timer and a command, and forgets to clean up. */
const STORM = (name: string, version: number) => `
  import { ALL_PROCESSES, CallbackManager, startMonitoringProcess } from "rebox";
  let calls = 0;
  export function initialize_callbacks(handle: number): void {
    const callbacks = new CallbackManager(handle);
    startMonitoringProcess(ALL_PROCESSES);
    callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => { calls++; }, { name: "blocks" });
    callbacks.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => { calls++; }, { name: "switches" });
    setInterval(() => { calls++; }, 5);
  }
  export const do_${name} = () => "${name}${version}" + (calls > 0 ? " is called" : "");
  export const clean = (): void => {};
`;

/** A trusted script: counts every block, and does by the API what a monitor does by its commands. */
const DRIVER = () => `
  import { setTimeout as sleep } from "node:timers/promises";
  import v8 from "node:v8";
  import vm from "node:vm";
  import { ALL_PROCESSES, CallbackManager, getBlockCount, importModule, isMonitoredProcess, listCallbacks, listCommands, listModules,
           reloadModule, setBlockCounting, startMonitoringProcess, stopMonitoringProcess, unloadModule } from "rebox";
  v8.setFlagsFromString("--expose_gc");
  const collect = vm.runInNewContext("gc") as () => void;
  let callbacks: CallbackManager, calls = 0, before = 0;
  export function initialize_callbacks(handle: number): void {
    callbacks = new CallbackManager(handle);
  }
  /** Begins to count, by a callback and natively: the same blocks, if none is lost or doubled. */
  export function do_start(): void {
    callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => { calls++; });
    startMonitoringProcess(ALL_PROCESSES);
    setBlockCounting(true);
    calls = 0;
    before = getBlockCount();
  }
  export const do_count = () => \`\${calls} \${getBlockCount() - before}\`;
  export function do_stop(): void {
    stopMonitoringProcess(ALL_PROCESSES);
    setBlockCounting(false);
    callbacks.clean();
  }
  export const do_load = async (file: string) => String((await importModule(file)).handle);
  export const do_reload = async (handle: string) => String((await reloadModule(Number(handle))).version);
  export const do_unload = async (handle: string) => { await unloadModule(Number(handle)); };
  /** What there is now, apart from memory. */
  export const do_facts = () => JSON.stringify({
    callbacks: listCallbacks().length, commands: listCommands().length, scripts: listModules().length,
    isMonitored: isMonitoredProcess(ALL_PROCESSES),
    timers: process.getActiveResourcesInfo().filter((name) => name === "Timeout").length,
  });
  export async function do_heap(): Promise<string> {
    for (let turn = 0; turn < 5; turn++) { collect(); await sleep(20); }
    return String(process.memoryUsage().heapUsed);
  }
  export const clean = (): void => {};
`;

/** The ways in which scripts are loaded and changed. */
interface Way {
  load(file: string): Promise<number>;
  reload(handle: number, version: number): Promise<void>;
  unload(handle: number): Promise<void>;
}

async function told(monitor: HmpClient, line: string): Promise<string> {
  const answer = (await monitor.command(line)).trimEnd();
  assert.doesNotMatch(answer, /^Error/, line);
  return answer;
}

/** Compares what there is with what there was; a timer of rebox's own may have ended meanwhile, or be about to. */
async function leavesNothing(monitor: HmpClient, before: string): Promise<void> {
  const { timers: then, ...expected } = JSON.parse(before) as { timers: number };
  const now = JSON.parse(await told(monitor, "custom facts")) as object;
  assert.deepEqual({ ...now, timers: then }, { ...expected, timers: then });
  await monitor.until("custom facts", (answer) => (JSON.parse(answer) as { timers: number }).timers <= then);
}

function listWays({ first, second, qmp }: MonitoredGuest): Way[] {
  const byMonitor = (monitor: HmpClient): Way => ({
    load: async (file) => Number(/handle (\d+)/.exec(await told(monitor, `import_module ${file}`))![1]),
    reload: async (handle, version) =>
      assert.match(await told(monitor, `reload_module ${handle}`), new RegExp(`version ${version}$`)),
    unload: async (handle) => assert.equal(await told(monitor, `unload_module ${handle}`), ""),
  });
  return [
    byMonitor(first),
    byMonitor(second),
    {
      load: async (file) => ((await qmp.execute("import-module", { file })) as { handle: number }).handle,
      reload: async (handle, version) =>
        assert.equal(((await qmp.execute("reload-module", { handle })) as { version: number }).version, version),
      unload: async (handle) => void (await qmp.execute("unload-module", { handle })),
    },
    {
      load: async (file) => Number(await told(first, `custom load ${file}`)),
      reload: async (handle, version) => assert.equal(await told(first, `custom reload ${handle}`), String(version)),
      unload: async (handle) => void (await told(first, `custom unload ${handle}`)),
    },
  ];
}

const OPTIONS = {
  task: "busy",
  script: DRIVER,
  timeoutMs: 600_000,
  reboxArgs: ["--watch", "--callback-limit", String(CALLBACK_LIMIT_MS)],
};

describe("in a storm of events", { concurrency: false }, () => {
  test("scripts come, change and go in every order, by monitors, QMP, the API and when they are saved", async () => {
    const run = await withMonitors(async (guest) => {
      const { first, write } = guest;
      const ways = listWays(guest);
      const before = await told(first, "custom facts");
      await told(first, "custom start");
      for (const [turn, order] of ORDERS.entries()) {
        const names = [...order];
        const way = (index: number) => ways[(turn + index) % ways.length]!;
        const handles = new Map<string, number>();
        for (const [index, name] of names.entries()) {
          handles.set(name, await way(index).load(write(`${name}${turn}.ts`, STORM(name, 1))));
        }
        for (const [index, name] of names.entries()) {
          write(`${name}${turn}.ts`, STORM(name, 2));
          // Saved, it is reloaded by itself; asked for as well, it is once more, before or after that.
          await first.until(`custom ${name}`, (answer) => answer.startsWith(`${name}2 is called`));
          const version = Number(
            new RegExp(`^${handles.get(name)} +(\\d+)`, "m").exec(await told(first, "list_modules"))![1],
          );
          await way(index).reload(handles.get(name)!, version + 1);
          assert.match(await told(first, `custom ${name}`), new RegExp(`^${name}2`));
        }
        for (const name of [names[1]!, names[2]!, names[0]!]) await way(names.indexOf(name)).unload(handles.get(name)!);
        for (const name of names)
          assert.match(await first.command(`custom ${name}`), /^Error: custom .*no such command/);
      }
      const [calls, blocks] = (await told(first, "custom count")).split(" ").map(Number);
      assert.equal(calls, blocks);
      assert.ok(calls! > 10_000, `${calls} blocks`);
      await told(first, "custom stop");
      await leavesNothing(first, before);
    }, OPTIONS);
    assert.equal(run.status, 0, run.stderr);
    // What is reloaded because it was saved is told, and nothing else.
    const lines = run.stderr.split("\n").slice(0, -1);
    assert.equal(lines.length, ORDERS.length * 3, run.stderr);
    for (const line of lines) assert.match(line, /^rebox: [abc]\d is reloaded: version 2, in \d+ ms$/);
  });

  test("a script that throws or loops, wherever it does, harms nobody else", async () => {
    const run = await withMonitors(async (guest) => {
      const { first, write } = guest;
      const before = await told(first, "custom facts");
      await told(first, "custom start");
      const script = (parts: { initialize?: string; callback?: string; command?: string; clean?: string }) => `
        import { CallbackManager } from "rebox";
        export function initialize_callbacks(handle: number): void {
          const callbacks = new CallbackManager(handle);
          callbacks.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => { ${parts.callback ?? ""} }, { name: "wrong" });
          setInterval(() => undefined, 5);
          ${parts.initialize ?? ""}
        }
        ${parts.command === undefined ? "" : `export function do_wrong(): void { ${parts.command} }`}
        export function clean(): void { ${parts.clean ?? ""} }
      `;
      const load = (name: string, parts: Parameters<typeof script>[0]) =>
        first.command(`import_module ${write(`${name}.ts`, script(parts))}`);
      const LOOP = "for (;;) {}";

      assert.match(
        await load("in_initialize", { initialize: 'throw new Error("one on purpose");' }),
        /^Error: .*in_initialize\.ts:7:.*one on purpose/s,
      );
      assert.match(await load("for_ever", { initialize: LOOP }), /^Error: .*for_ever.*initialize_callbacks/s);

      assert.match(await load("in_clean", { clean: 'throw new Error("two on purpose");' }), /handle \d+, version 1/);
      const [cleaned] = /^\d+(?=.* in_clean )/m.exec(await told(first, "list_modules"))!;
      assert.match(await first.command(`unload_module ${cleaned}`), /^Error: .*two on purpose/s);
      assert.doesNotMatch(await told(first, "list_modules"), /in_clean/);

      assert.match(
        await load("in_callback", { callback: 'throw new Error("three on purpose");' }),
        /handle \d+, version 1/,
      );
      await first.until(
        "sh !listCallbacks().filter(({ name, errors }) => name === 'wrong' && errors > 2).length",
        (count) => count.trim() === "1",
      );
      const [throwing] = /^\d+(?=.* in_callback )/m.exec(await told(first, "list_modules"))!;
      await told(first, `unload_module ${throwing}`);

      assert.match(await load("endless_callback", { callback: LOOP }), /handle \d+, version 1/);
      await first.until(
        "sh !listCallbacks().filter(({ name }) => name === 'wrong').length",
        (count) => count.trim() === "0",
      );
      const [endless] = /^\d+(?=.* endless_callback )/m.exec(await told(first, "list_modules"))!;
      await told(first, `unload_module ${endless}`);

      assert.match(
        await load("in_command", { command: 'throw new Error("four on purpose");' }),
        /handle \d+, version 1/,
      );
      for (const turn of [1, 2])
        assert.match(
          await first.command("custom wrong"),
          /^Error: .*in_command\.ts:9:.*four on purpose/s,
          `time ${turn}`,
        );
      assert.match(await load("same_command", { command: "" }), /^Error: .*same_command.*wrong.*in_command/s);
      const [commanding] = /^\d+(?=.* in_command )/m.exec(await told(first, "list_modules"))!;
      await told(first, `unload_module ${commanding}`);
      assert.match(await load("endless_command", { command: LOOP }), /handle \d+, version 1/);
      assert.match(await first.command("custom wrong"), /^Error: .*endless_command/s);
      const [looping] = /^\d+(?=.* endless_command )/m.exec(await told(first, "list_modules"))!;
      await told(first, `unload_module ${looping}`);

      const [calls, blocks] = (await told(first, "custom count")).split(" ").map(Number);
      assert.equal(calls, blocks);
      await told(first, "custom stop");
      await leavesNothing(first, before);
    }, OPTIONS);
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stderr, /three on purpose/);
    assert.match(run.stderr, /wrong did not return within 1000 ms; it was cut off and removed/);
    assert.doesNotMatch(run.stderr, /(one|two|four) on purpose/);
  });

  test("a thousand reloads by the monitor leave nothing behind, and each is soon over", async () => {
    const rounds = Number(process.env["REBOX_RELOADS"] ?? 60);
    const run = await withMonitors(async ({ first, write }) => {
      const file = write("storm.ts", STORM("a", 1));
      const [, handle] = /handle (\d+)/.exec(await told(first, `import_module ${file}`))!;
      for (let round = 0; round < 20; round++) await told(first, `reload_module ${handle}`);
      const facts = await told(first, "custom facts");
      const heap = Number(await told(first, "custom heap"));
      const times: number[] = [];
      for (let round = 0; round < rounds; round++) {
        const beganMs = performance.now();
        await told(first, `reload_module ${handle}`);
        times.push(performance.now() - beganMs);
      }
      await leavesNothing(first, facts);
      const grown = Number(await told(first, "custom heap")) - heap;
      assert.ok(grown < 5_000_000 + rounds * 5_000, `the heap grew by ${grown} bytes in ${rounds} reloads`);
      times.sort((a, b) => a - b);
      console.log(
        `${rounds} reloads: median ${times[rounds >> 1]!.toFixed(1)} ms, slowest ${times.at(-1)!.toFixed(1)} ms, heap ${grown}`,
      );
    }, OPTIONS);
    assert.equal(run.status, 0, run.stderr);
    assert.equal(run.stderr, "");
  });
});
