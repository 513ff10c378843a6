import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { runGuest } from "../kit/guests/guest-run";

let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "rebox-reload-"));
});
after(() => rmSync(folder, { recursive: true }));

/** Counts blocks in a callback, and lets rebox count them natively: the same blocks, if none is lost or doubled. */
const BYSTANDER = `
  import { ALL_PROCESSES, CallbackManager, getBlockCount, setBlockCounting, startMonitoringProcess } from "rebox";
  let callbacks: CallbackManager, calls = 0, before = 0;
  export function initialize_callbacks(handle: number): void {
    callbacks = new CallbackManager(handle);
    callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => { calls++; });
    startMonitoringProcess(ALL_PROCESSES);
  }
  export function do_start(): void { setBlockCounting(true); calls = 0; before = getBlockCount(); }
  export const do_count = () => \`\${calls} \${getBlockCount() - before}\`;
  export const clean = (): void => callbacks.clean();
`;

/** Has everything that a script can have, all by the same names in each version, and forgets to clean up. */
const BUSY = (version: string, more = "") => `
  import { ALL_PROCESSES, CallbackManager, hot, startMonitoringProcess, stopMonitoringProcess } from "rebox";
  let calls = 0;
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    hot.data.versions = [...((hot.data.versions as string[]) ?? []), "${version}"].slice(-3);
    const callbacks = new CallbackManager(handle);
    startMonitoringProcess(ALL_PROCESSES);
    callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => { calls++; }, { name: "blocks" });
    callbacks.addCallback(CallbackManager.CONTEXTCHANGE_CB, () => { calls++; }, { name: "switches" });
    callbacks.addStream(CallbackManager.MEM_WRITE_CB, (batch) => { calls += batch.length; }, { name: "writes", filter: { every: 1000 } });
    const triggered = callbacks.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => { calls++; }, { name: "triggered" });
    callbacks.addTrigger(triggered, "triggers/trigger_blockbegin_wx");
    setInterval(() => { calls++; }, 5);
    ${more}
  }
  export const do_versions = () => (hot.data.versions as string[]).join() + (calls > 0 ? " called" : "");
  export function clean(): void { stopMonitoringProcess(ALL_PROCESSES, true); }
`;

/** A trusted script that does things to the others while the guest is busy, and then ends the guest. */
function drive(body: string): string {
  return `
    import { writeFileSync } from "node:fs";
    import v8 from "node:v8";
    import vm from "node:vm";
    import { ALL_PROCESSES, Engine, importModule, isMonitoredProcess, listCallbacks, listCommands, listModules, reloadModule, runCommand, unloadModule } from "rebox";
    const folder = ${JSON.stringify(folder)};
    const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    v8.setFlagsFromString("--expose_gc");
    const collect = vm.runInNewContext("gc") as () => void;
    async function drive(print: (text: string) => void): Promise<void> { ${body} }
    export function initialize_callbacks(handle: number, print: (text: string) => void): void {
      Engine.get().on("running", () => setTimeout(() => {
        drive(print).catch((error) => print("failed: " + error.stack)).finally(() => Engine.get().quit());
      }, 1500));
    }
    export function clean(): void {}
  `;
}

async function run(body: string, timeoutMs = 240_000) {
  const config = join(folder, "pyrebox.conf");
  writeFileSync(config, "[PERMISSIONS]\ntrusted: *\n");
  return runGuest({ task: "busy", script: () => drive(body), reboxArgs: ["-c", config], timeoutMs });
}

describe("while the guest is busy", () => {
  test("a reload loses and doubles no event of another script, leaves nothing of the old version, and keeps every name", async () => {
    writeFileSync(join(folder, "bystander.ts"), BYSTANDER);
    for (const name of ["storm", "trusted"]) writeFileSync(join(folder, `${name}.ts`), BUSY("0"));
    writeFileSync(join(folder, "next.txt"), BUSY("1"));
    const { messages, stderr, status } = await run(`
      const bystander = await importModule("bystander");
      await runCommand("start");
      for (const name of ["storm", "trusted"]) {
        const { handle } = await importModule(name);
        const names = () => listCallbacks().filter((callback) => callback.moduleHandle === handle).map((callback) => callback.name).sort().join();
        const first = names();
        for (let round = 1; round <= 5; round++) {
          writeFileSync(folder + "/" + name + ".ts", ${JSON.stringify(BUSY("VERSION"))}.replace("VERSION", String(round)));
          await reloadModule(handle);
          await sleep(30);
          if (names() !== first) print("names: " + names());
        }
        writeFileSync(folder + "/" + name + ".ts", ${JSON.stringify(BUSY("bad", "throw new Error('bad');"))});
        await reloadModule(handle).catch((error) => print(error.message.replace(/.*: initialize/, "initialize")));
        print(name + " " + names() + " " + (await runCommand("versions")));
        await unloadModule(handle);
        print(names() + listCommands().map((command) => command.name).join() + " " + isMonitoredProcess(ALL_PROCESSES));
      }
      const [calls, blocks] = (await runCommand("count"))!.split(" ").map(Number) as [number, number];
      print(calls === blocks && calls > 10000 ? "every block once" : calls + " calls, " + blocks + " blocks");
      await unloadModule(bystander.handle);
      print(String(isMonitoredProcess(ALL_PROCESSES)) + listCallbacks().length);
    `);
    assert.equal(status, 0, stderr);
    const left = "blocks,switches,triggered,writes";
    assert.deepEqual(messages, [
      "initialize_callbacks() threw Error: bad",
      `storm ${left} 3,4,5 called`,
      "count,start true",
      "initialize_callbacks() threw Error: bad",
      `trusted ${left} 3,4,5 called`,
      "count,start true",
      "every block once",
      "false0",
    ]);
    assert.equal(stderr, "");
  });

  test("a script in the sandbox cannot touch another one's callbacks, monitored processes, or the other itself", async () => {
    writeFileSync(join(folder, "bystander.ts"), BYSTANDER);
    writeFileSync(
      join(folder, "attacker.ts"),
      `import * as rebox from "rebox";
       export async function initialize_callbacks(handle: number, print: (text: string) => void): Promise<void> {
         const cm = new rebox.CallbackManager(handle);
         const other = rebox.listCallbacks()[0]!;
         for (const attempt of [
           () => cm.rmCallback(other.name), () => cm.addTrigger(other.name, "triggers/trigger_blockbegin_wx"),
           () => new rebox.CallbackManager(other.moduleHandle), () => rebox.stopMonitoringProcess(rebox.ALL_PROCESSES, true),
           () => rebox.unloadModule(other.moduleHandle), () => rebox.reloadModule(other.moduleHandle), () => rebox.runCommand("start"),
           () => rebox.Engine.get().hmp("info status"), () => rebox.Engine.get().qmp("quit"), () => rebox.screenshot("/tmp/picture.png"),
           () => cm.addTrigger(cm.addCallback("BLOCK_BEGIN_CB", () => {}, { name: "own" }), "triggers/trigger_block_user_only_coverage"),
           () => cm.addTrigger("own", "/tmp/any.c"),
         ]) {
           try { print(String(await attempt())); } catch (error) { print((error as Error).message.split(/[:;]/)[0]!); }
         }
       }
       export function clean(): void {}`,
    );
    const { messages } = await run(`
      await importModule("bystander");
      await runCommand("start");
      await importModule("attacker");
      await sleep(300);
      const [calls, blocks] = (await runCommand("count"))!.split(" ").map(Number) as [number, number];
      print(calls === blocks && calls > 1000 ? "every block once" : calls + " " + blocks);
    `);
    assert.deepEqual(messages, [
      "there is no callback block_begin_cb_1 here",
      "there is no callback block_begin_cb_1 here",
      "module handle 2 is not this script's",
      "false",
      ...["unloadModule()", "reloadModule()", "runCommand()"].map((what) => `attacker may not use ${what}`),
      ...["QMP and the monitor", "QMP and the monitor"].map((what) => `attacker may not use ${what}`),
      "attacker may not use /tmp/picture.png",
      "attacker may not use the trigger triggers/trigger_block_user_only_coverage",
      "there is no trigger /tmp/any.c",
      "every block once",
    ]);
  });

  test("scripts come, change and go in every order", async () => {
    for (const name of ["a", "b", "c"]) {
      writeFileSync(join(folder, `${name}.ts`), BUSY(name).replace("do_versions", `do_${name}`));
    }
    const { messages, stderr } = await run(`
      const orders = [["a", "b", "c"], ["a", "c", "b"], ["b", "a", "c"], ["b", "c", "a"], ["c", "a", "b"], ["c", "b", "a"]];
      for (const order of orders) {
        const handles = new Map<string, number>();
        for (const name of order) handles.set(name, (await importModule(name)).handle);
        await sleep(10);
        await Promise.all(order.map((name) => reloadModule(handles.get(name)!)));
        await Promise.all([unloadModule(handles.get(order[1]!)!), reloadModule(handles.get(order[0]!)!), reloadModule(handles.get(order[2]!)!)]);
        await sleep(10);
        for (const name of [order[2]!, order[0]!]) await unloadModule(handles.get(name)!);
        print(order.join("") + " " + listModules().length + listCallbacks().length + isMonitoredProcess(ALL_PROCESSES));
      }
    `);
    assert.deepEqual(
      messages,
      ["abc", "acb", "bac", "bca", "cab", "cba"].map((order) => `${order} 10false`),
    );
    assert.equal(stderr, "");
  });

  test("reloads leave no memory behind", async () => {
    const rounds = Number(process.env["REBOX_RELOADS"] ?? 60);
    for (const name of ["storm", "trusted"]) writeFileSync(join(folder, `${name}.ts`), BUSY("0"));
    const { messages, stderr } = await run(
      `
      const results: string[] = [];
      for (const name of ["storm", "trusted"]) {
        const { handle } = await importModule(name);
        const measure = async () => { for (let i = 0; i < 5; i++) { collect(); await sleep(20); } return process.memoryUsage(); };
        for (let round = 0; round < 20; round++) await reloadModule(handle);
        const before = await measure();
        const times: number[] = [];
        for (let round = 0; round < ${rounds}; round++) { const began = performance.now(); await reloadModule(handle); times.push(performance.now() - began); }
        const after = await measure();
        times.sort((a, b) => a - b);
        await unloadModule(handle);
        print(JSON.stringify({ name, heap: after.heapUsed - before.heapUsed, rss: after.rss - before.rss,
          medianMs: times[times.length >> 1], slowestMs: times.at(-1) }));
      }
    `,
      1_200_000,
    );
    assert.equal(stderr, "");
    for (const message of messages) {
      console.log(message);
      const { name, heap } = JSON.parse(message) as { name: string; heap: number };
      // What V8 compiles while the guest and the scripts warm up is some MB; a sandbox that stays is more than 500 KB.
      assert.ok(heap < 5_000_000 + rounds * 5_000, `${name}: the heap grew by ${heap} bytes in ${rounds} reloads`);
    }
    assert.equal(messages.length, 2);
  });
});
