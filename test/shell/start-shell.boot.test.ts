import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { getMachineArgs } from "../kit/guests/guest-args";
import { runGuest } from "../kit/guests/guest-run";
import { inFolder } from "../kit/in-folder";
import { REBOX } from "../kit/project";

/** Asks a shell, in a callback of vCPU 1, which vCPU it looks at, and whether it sees what the callback sees. */
const ON_SECOND_CPU = `
  import { PassThrough } from "node:stream";
  import { ALL_PROCESSES, CallbackManager, Engine, readCpu, startMonitoringProcess } from "rebox";
  import { startShell } from "rebox/trusted";
  const ask = async (options: object | undefined): Promise<string> => {
    const input = new PassThrough(), output = new PassThrough();
    let answers = "";
    output.on("data", (bytes) => (answers += bytes));
    input.write("status\\nr rip\\ncont\\n");
    await startShell({ ...options, input, output, json: true });
    const [status, registers] = answers.trim().split("\\n").map((line) => JSON.parse(line).data);
    return status.cpu + " " + registers.RIP;
  };
  export function initialize_callbacks(handle: number, print: (text: string) => void): void {
    const callbacks = new CallbackManager(handle);
    const hex = (value: bigint) => "0x" + value.toString(16);
    startMonitoringProcess(ALL_PROCESSES);
    let calls = 0;
    callbacks.addCallback("BLOCK_BEGIN_CB", async (cpuIndex, cpu) => {
      if (cpuIndex !== 1 || ++calls > 3) return;
      const call = calls;
      const expected = call === 3 ? "0 " + hex(readCpu(0).RIP) : "1 " + hex(cpu.RIP);
      // The second asks when the callback itself is over, and holds the guest.
      if (call === 2) await new Promise((resolve) => setTimeout(resolve, 50));
      const answer = await ask(call === 3 ? { cpuIndex: 0 } : undefined);
      print(call + " " + (answer === expected));
      if (call < 3) return;
      try {
        await startShell(2);
      } catch (error) {
        print(String(error));
      }
      void Engine.get().quit();
    });
  }
  export const clean = (): void => {};
`;

test("a shell in a callback looks at the vCPU of the event, or at the one that it is given", async () => {
  const run = await runGuest({ task: "busy", trust: true, script: () => ON_SECOND_CPU, qemuArgs: ["-smp", "2"] });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, [
    "1 true",
    "2 true",
    "3 true",
    "RangeError: there is no vCPU 2: the machine has 2, numbered from 0",
  ]);
});

/** Runs a guest with a shell on standard input, which is given lines when a text has been shown. */
async function withPlainShell(script: string, turns: readonly (readonly [text: string, line: string])[]) {
  return inFolder(async (folder) => {
    const file = join(folder, "script.ts");
    writeFileSync(file, script);
    const args = ["run", "--shell", "--plain", "--trust", "--script", file, "--"];
    const machine = await getMachineArgs(folder, { task: "busy" });
    const child = spawn(process.execPath, [REBOX, ...args, ...machine]);
    let shown = "";
    let at = 0;
    const left = [...turns];
    const look = (bytes: Buffer) => {
      shown += bytes.toString();
      for (let next = left[0]; next !== undefined; next = left[0]) {
        const found = shown.indexOf(next[0], at);
        if (found < 0) return;
        at = found + next[0].length;
        child.stdin.write(`${next[1]}\n`);
        left.shift();
      }
    };
    child.stdout.on("data", look);
    child.stderr.on("data", look);
    const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
    const status = await new Promise((resolve) => child.once("close", resolve));
    clearTimeout(timer);
    return { status, shown, left };
  });
}

test("startShell() in a run with a shell uses that shell: it holds the guest there, until cont", async () => {
  const script = `
    import { ALL_PROCESSES, waitForGuest } from "rebox";
    import { BP, startShell } from "rebox/trusted";
    export function initialize_callbacks(_: number, print: (text: string) => void): void {
      void waitForGuest().then(() => {
        new BP("kernel!ksys_read", ALL_PROCESSES, {
          isOneShot: true,
          func: async ({ address }) => { await startShell(); print("let go at 0x" + address.toString(16)); },
        });
      });
    }
    export const clean = (): void => {};
  `;
  const { status, shown, left } = await withPlainShell(script, [
    ["cont lets it go", "r rip"],
    ["RIP=", "cont"],
    ["let go", "quit machine"],
  ]);
  assert.deepEqual([status, left], [0, []], shown);
  const [, held] = /holds the guest on vCPU 0, at (0x[0-9a-f]+), kernel!ksys_read: cont lets it go/.exec(shown) ?? [];
  assert.ok(held !== undefined, shown);
  assert.ok(shown.includes(`let go at ${held}`), shown);
});

test("a breakpoint without a function holds the guest for the shell of the run", async () => {
  const script = `
    import { ALL_PROCESSES, waitForGuest } from "rebox";
    import { BP } from "rebox/trusted";
    export function initialize_callbacks(): void {
      void waitForGuest().then(() => new BP("kernel!ksys_read", ALL_PROCESSES, { isOneShot: true }));
    }
    export const clean = (): void => {};
  `;
  const { status, shown, left } = await withPlainShell(script, [
    [", kernel!ksys_read: cont lets it go", "r rip"],
    ["RIP=", "cont"],
    ["the guest goes on", "quit machine"],
  ]);
  assert.deepEqual([status, left], [0, []], shown);
});
