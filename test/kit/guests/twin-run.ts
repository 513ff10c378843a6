import assert from "node:assert/strict";
import { type GuestRun, runGuest, scriptPrelude } from "./guest-run";

/** How often the first process calls its function. */
export const FIRST = 300;
/** How often the second does. */
export const SECOND = 500;

/**
 * Runs native/guest/programs/twin.c: `onReady` adds callbacks when both processes wait (`pgds` and `at` tell where),
 * both are let go, and `onDone` prints when both have ended.
 */
export function watchTwins(how: "fork" | "exec", cpus: number, onReady: string, onDone: string): Promise<GuestRun> {
  return runGuest({
    task: "twin",
    parameters: { how, first: FIRST, second: SECOND },
    qemuArgs: ["-smp", String(cpus)],
    timeoutMs: 90_000,
    script: (serial) => `
      import { ALL_PROCESSES, CallbackManager, type Cpu, Engine, findPa, getRunningProcess, readCpu, readVa, isMonitoredProcess, listCallbacks, startMonitoringProcess, stopMonitoringProcess,
               writeVa } from "rebox";
      ${scriptPrelude(serial)}
      let cm: CallbackManager;
      let at: Record<"poll" | "work" | "add" | "end" | "count" | "go", bigint>;
      const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
      let pgds: bigint[] = [];
      const sideOf = (cpuIndex: number) => pgds.indexOf(getRunningProcess(cpuIndex));
      /** The vCPU that a side is pinned to. */
      const cpuOf = (side: number) => side % ${cpus};
      const counts: Record<string, number> = {};
      const state: Record<string, any> = {};
      const count = (name: string) => void (counts[name] = (counts[name] ?? 0) + 1);
      /** The two address spaces, in no order. */
      async function findSides(): Promise<bigint[]> {
        const found = new Set<bigint>();
        const name = cm.addCallback(CallbackManager.INSN_BEGIN_CB, (cpuIndex) => void found.add(getRunningProcess(cpuIndex)),
          { addr: at.poll });
        while (found.size < 2) await sleep(20);
        cm.rmCallback(name);
        return [...found];
      }
      export function initialize_callbacks(handle: number, print: (text: string) => void): void {
        cm = new CallbackManager(handle);
        void (async () => {
          await untilTruth("twin.0.ready");
          const truth = await untilTruth("twin.1.ready");
          at = Object.fromEntries([...truth].filter(([key]) => key.startsWith("twin.0."))
            .map(([key, value]) => [key.slice(7), BigInt(value)])) as typeof at;
          pgds = await findSides();
          ${onReady}
          for (const pgd of pgds) writeVa(pgd, at.go, Uint8Array.of(1));
          await untilTruth("twin.0.done");
          await untilTruth("twin.1.done");
          ${onDone}
          await Engine.get().quit();
        })();
      }
      export const clean = (): void => cm.clean();
    `,
  });
}

/** Checks that both processes did what they had to, undisturbed. */
export function checkTwins(run: GuestRun): void {
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, "");
  assert.equal(run.truth.get("twin.0.done"), String(FIRST));
  assert.equal(run.truth.get("twin.1.done"), String(SECOND));
}
