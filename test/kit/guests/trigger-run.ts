import assert from "node:assert/strict";
import { type GuestRun, runGuest, scriptPrelude } from "./guest-run";

/**
 * Runs native/guest/programs/exact.c with triggers: `onReady` attaches them, `onBegin` sets their variables when the
 * sequence begins (`pgd` is its process, which is not monitored), and `onEnd` prints what was seen.
 */
export function watchTriggers(onReady: string, onBegin: string, onEnd: string): Promise<GuestRun> {
  return runGuest({
    task: "exact",
    script: (serial) => `
      import { CallbackManager, Engine, findPa, getRunningProcess, isKernelRunning, readVa, writeRegister,
               writeVa } from "rebox";
      import { readFileSync as readFile } from "node:fs";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      let at: Record<"begin" | "loop" | "function" | "target" | "end" | "poll" | "buffer" | "go", bigint>;
      let pgd = 0n;
      const counts: Record<string, number> = {};
      const count = (name: string) => void (counts[name] = (counts[name] ?? 0) + 1);
      // Another program may have something else at the same addresses.
      const isOurs = (cpuIndex: number) => {
        try {
          return readVa(getRunningProcess(cpuIndex), at.begin, 10).every((byte) => byte === 0x90);
        } catch {
          return false;
        }
      };
      const isInside = (pc: bigint) => (pc >= at.begin && pc < at.end) || pc === at.function;
      // A callback with a shipped trigger; returns its name.
      const add = (type: any, trigger: string, callback: (...args: any[]) => void, options = {}): string => {
        const name = cm.addCallback(type, callback, options);
        cm.addTrigger(name, "triggers/trigger_" + trigger);
        return name;
      };
      const range = (name: string, begin: bigint, end: bigint) => {
        cm.setTriggerVar(name, "begin", begin);
        cm.setTriggerVar(name, "end", end);
      };
      const state: Record<string, any> = {};
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void untilTruth("exact.ready").then(async (truth) => {
          at = Object.fromEntries([...truth].filter(([key]) => key.startsWith("exact."))
            .map(([key, value]) => [key.slice(6), BigInt(value)])) as typeof at;
          cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => {
            if (!isOurs(cpuIndex)) return;
            pgd = getRunningProcess(cpuIndex);
            ${onBegin}
          }, { addr: at.begin });
          cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => {
            if (!isOurs(cpuIndex)) return;
            ${onEnd}
          }, { addr: at.end });
          ${onReady}
          const poll = cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => {
            if (!isOurs(cpuIndex)) return;
            const one = Buffer.alloc(8, 0);
            one[0] = 1;
            writeVa(getRunningProcess(cpuIndex), at.go, one);
            cm.rmCallback(poll);
          }, { addr: at.poll });
        });
      }
      export function clean(): void {
        cm.clean();
      }
    `,
  });
}

/** Checks that the program did what it had to, undisturbed. */
export function checkTriggers(run: GuestRun): void {
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  assert.equal(run.truth.get("exact.added"), "1");
}
