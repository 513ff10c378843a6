import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest } from "../kit/guests/guest-run";

/** Calls each of these with hardly any stack left, and a little more each time. */
const CALLS = `{
  "refused code": () => { try { Function("return 1"); } catch (error) { return String((error as Error).stack); } },
  "processes": () => getProcessList().length,
  "memory": () => readVa(getRunningProcess(), 0x1000n, 8).length,
  "registers": () => readCpu(0).RIP + readCpu(0).CPL,
  "symbols": () => vaToSym(0n, 0xffffffff81000000n),
  "a callback": () => cm.addCallback("BLOCK_END_CB", () => {}, { name: "deep" }),
  "a wrong option": () => cm.addCallback("BLOCK_END_CB", () => {}, { fliter: {} } as never),
  "monitoring": () => startMonitoringProcess(0x1000n),
  "text": () => "a-b".replace(/(a|b)+(?<x>-)([^c-d]|(e|f|(g|h)))*/u, "$<x>"),
  "an error": () => String(new Error("deep").stack),
  "a trigger": () => cm.addTrigger("none", "triggers/trigger_user_only"),
  "a snapshot": () => Engine.get().isRunning,
}`;

for (const trust of [false, true]) {
  test(`a ${trust ? "trusted" : "sandboxed"} script that has filled its stack can call what it likes: the guest continues`, async () => {
    const run = await runGuest({
      task: "poweroff",
      trust,
      reboxArgs: ["--callback-limit", "60000"],
      timeoutMs: 90_000,
      script: () => `
        import { CallbackManager, Engine, getProcessList, getRunningProcess, readCpu, readVa, startMonitoringProcess,
                 vaToSym } from "rebox";
        let cm: CallbackManager;
        const calls: Record<string, () => unknown> = ${CALLS};
        const outcomes: Record<string, Set<string>> = {};
        function dive(name: string, depth: number): number {
          let above = 0;
          try {
            above = dive(name, depth + 1);
          } catch {
            above = 0;
          }
          // From the deepest frame on upwards, in ever larger steps.
          if (above < 3000 && (above < 16 || above % 150 === 0)) {
            try {
              calls[name]!();
              outcomes[name]!.add("returned");
            } catch (error) {
              outcomes[name]!.add((error as Error).name);
            }
          }
          return above + 1;
        }
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          cm = new CallbackManager(handle);
          const done = cm.addCallback("CONTEXTCHANGE_CB", () => {
            cm.rmCallback(done);
            for (const name of Object.keys(calls)) {
              outcomes[name] = new Set();
              const deepest = dive(name, 0);
              print(name + ": " + (deepest > 1000) + " " + [...outcomes[name]!].sort().join(" "));
            }
            print("came back");
          }, { filter: { hits: 1 } });
        }
        export const clean = (): void => cm.clean();
      `,
    });
    assert.equal(run.status, 0, run.stderr.slice(-2000));
    assert.ok(run.messages.includes("came back"), run.stderr);
    assert.equal(run.messages.filter((message) => message.includes(": true ")).length, 12);
    const text = run.messages.find((message) => message.startsWith("text: "))!;
    assert.match(text, /RangeError/, "the deepest frames have no stack for it");
    assert.match(text, /returned/, "those above have");
  });
}

for (const trust of [false, true]) {
  const kind = trust ? "trusted" : "sandboxed";
  const fill = "const all: unknown[] = []; for (;;) all.push(new Array(10_000).fill(all.length));";
  const limited = { env: { NODE_OPTIONS: "--max-old-space-size=120" }, trust, timeoutMs: 90_000 };

  test(`a ${kind} callback that allocates without end is cut off and removed; the guest continues`, async () => {
    const run = await runGuest({
      ...limited,
      task: "poweroff",
      reboxArgs: ["--callback-limit", "60000"],
      script: () => `
        import { CallbackManager } from "rebox";
        let cm: CallbackManager;
        let changes = 0;
        let printer: (text: string) => void;
        export function initialize_callbacks(handle: number, print: (text: string) => void): void {
          printer = print;
          cm = new CallbackManager(handle);
          cm.addCallback("CONTEXTCHANGE_CB", () => { ${fill} }, { name: "greedy" });
          cm.addCallback("CONTEXTCHANGE_CB", () => void changes++, { name: "modest" });
        }
        export function clean(): void {
          printer("modest " + (changes > 10));
          cm.clean();
        }
      `,
    });
    assert.equal(run.status, 0, run.stderr.slice(-2000));
    assert.match(run.stderr, /greedy filled the memory that JavaScript may use, and was cut off/);
    assert.deepEqual(run.messages, ["modest true"]);
  });

  test(`a ${kind} script that allocates without end while it is loaded is an error of the script`, async () => {
    const run = await runGuest({
      ...limited,
      task: "poweroff",
      script: () => `
        export function initialize_callbacks(): void { ${fill} }
        export const clean = (): void => {};
      `,
    });
    assert.equal(run.signal, null);
    assert.match(run.stderr, /initialize_callbacks\(\) filled the memory that JavaScript may use, and was cut off/);
    assert.doesNotMatch(run.stderr, /FATAL/);
  });
}
