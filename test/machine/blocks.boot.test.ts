import assert from "node:assert/strict";
import { test } from "node:test";
import { runGuest, scriptPrelude } from "../kit/guests/guest-run";

test("blocks are reported of the monitored process only, with the vCPU at the block's first instruction", async () => {
  const run = await runGuest({
    task: "busy",
    script: (serial) => `
      ${scriptPrelude(serial)}
      import { ALL_PROCESSES, CallbackManager, Engine, TranslationBlock, getRunningProcess, isMonitoredProcess, readCpu, readVa,
               startMonitoringProcess, stopMonitoringProcess } from "rebox";
      let cm: CallbackManager;
      const counts = new Map<bigint, number>();
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void untilTruth("busy").then(() => {
          // The shell that does the work comes back after each process that it starts.
          let last = 0n;
          startMonitoringProcess(ALL_PROCESSES);
          const name = cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, (cpuIndex) => {
            const pgd = getRunningProcess(cpuIndex);
            counts.set(pgd, (counts.get(pgd) ?? 0) + (pgd === last ? 0 : 1));
            last = pgd;
            if (counts.get(pgd) === 5) {
              cm.rmCallback(name);
              stopMonitoringProcess(ALL_PROCESSES);
              watch(pgd, printer);
            }
          }, { filter: { mode: "user" } });
        });
      }
      function watch(target: bigint, printer: (text: string) => void): void {
        let blocks = 0, foreign = 0, elsewhere = 0, strange = 0, user = 0;
        const objects = new Map<string, TranslationBlock>();
        let anew = 0;
        startMonitoringProcess(target);
        startMonitoringProcess(target);
        stopMonitoringProcess(target);
        printer("monitored " + isMonitoredProcess(target));
        const name = cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, (cpuIndex, cpu, tb) => {
          blocks++;
          if (getRunningProcess(cpuIndex) !== target) foreign++;
          if (cpu.RIP !== tb.pc || cpu !== readCpu(cpuIndex)) elsewhere++;
          if (cpu.CPL === 3n) user++;
          if (tb.size < tb.icount || tb.size > 15 * tb.icount || tb.icount < 1) strange++;
          const key = tb.pc + " " + tb.size + " " + tb.icount;
          const known = objects.get(key);
          if (known !== undefined && known !== tb) anew++;
          objects.set(key, tb);
          if (blocks === 200000) {
            cm.rmCallback(name);
            stopMonitoringProcess(target);
            printer("monitored " + isMonitoredProcess(target));
            const then = blocks;
            setTimeout(() => {
              printer("after removal " + (blocks - then));
              printer("foreign " + foreign + " elsewhere " + elsewhere + " strange " + strange);
              printer("user " + (user > 0) + " kernel " + (user < blocks) + " shared objects " + (anew < 100));
              void Engine.get().quit();
            }, 300);
          }
        });
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, [
    "monitored true",
    "monitored false",
    "after removal 0",
    "foreign 0 elsewhere 0 strange 0",
    "user true kernel true shared objects true",
  ]);
});

test("a block hook counts what the guest did: one call for each system call, added and removed inside callbacks", async () => {
  const run = await runGuest({
    task: "identity",
    parameters: { symbols: "__x64_sys_geteuid,__x64_sys_reboot" },
    script: (serial) => `
      import { CallbackManager } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void untilTruth("identity.ready").then((truth) => {
          const geteuid = BigInt(truth.get("symbol.__x64_sys_geteuid")!);
          const reboot = BigInt(truth.get("symbol.__x64_sys_reboot")!);
          const first = cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {
            printer("first");
            cm.rmCallback(first);
            cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => printer("second"), { addr: geteuid });
            cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {
              printer("reboot " + cm.callbackExists(first));
              printer("name " + cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {}, { addr: 1n, name: "mine" }) +
                " " + cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {}, { addr: 1n, name: "mine" }));
            }, { addr: reboot });
          }, { addr: geteuid });
        });
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.messages[0], "first");
  assert.ok(!run.messages.slice(1).includes("first"));
  assert.deepEqual(run.messages.slice(-2), ["reboot false", "name mine mine_1"]);
});

test("counting blocks natively agrees with counting them by callbacks", async () => {
  const run = await runGuest({
    task: "busy",
    script: () => `
      import { ALL_PROCESSES, CallbackManager, Engine, getBlockCount, setBlockCounting, startMonitoringProcess } from "rebox";
      let cm: CallbackManager;
      export function initialize_callbacks(handle: number, printer: (text: string) => void): void {
        cm = new CallbackManager(handle);
        setTimeout(() => {
          let calls = 0, before = -1;
          startMonitoringProcess(ALL_PROCESSES);
          setBlockCounting(true);
          cm.addCallback(CallbackManager.BLOCK_BEGIN_CB, () => {
            if (before < 0) before = getBlockCount();
            if (++calls === 1000001) {
              printer("native " + (getBlockCount() - before));
              void Engine.get().quit();
            }
          });
        }, 4000);
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.deepEqual(run.messages, ["native 1000000"]);
});
