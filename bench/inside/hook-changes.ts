/** Adds and removes hooks in the code that a working guest executes: hook-changes <QEMU's arguments> */

import { setTimeout as sleep } from "node:timers/promises";
import {
  ALL_PROCESSES,
  CallbackManager,
  Engine,
  startMonitoringProcess,
  stopMonitoringProcess,
} from "../../src/doors/rebox";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

export interface HookChangesReport {
  /** Of every turn, in milliseconds: from adding a hook to its first call. */
  readonly firstCallMs: readonly number[];
  /** Of every turn, in milliseconds: the calls of addCallback() and rmCallback(). */
  readonly changeMs: readonly number[];
  /** How many times all translations were thrown away meanwhile. */
  readonly flushes: number;
}

const TURNS = 300;
const MODULE_HANDLE = 1;

async function countFlushes(): Promise<number> {
  const found = /TB flush count +(\d+)/.exec(await Engine.get().hmp("info jit"))?.[1];
  if (found === undefined) throw new Error("QEMU does not say how often it has flushed its translations");
  return Number(found);
}

async function main(argv: readonly string[]): Promise<void> {
  createMachine(argv).run();
  await waitToProceed();
  const cm = new CallbackManager(MODULE_HANDLE);
  // Where the guest is right now, again and again: code that was translated long ago and is executed all the time.
  const hot = new Map<bigint, number>();
  startMonitoringProcess(ALL_PROCESSES);
  const look = cm.addCallback("BLOCK_BEGIN_CB", (_cpuIndex, _cpu, tb) => {
    hot.set(tb.pc, (hot.get(tb.pc) ?? 0) + 1);
  });
  await sleep(500);
  cm.rmCallback(look);
  stopMonitoringProcess(ALL_PROCESSES);
  await sleep(500);
  const addresses = [...hot].sort(([, a], [, b]) => b - a).slice(0, 50);
  const before = await countFlushes();
  const firstCallMs: number[] = [];
  const changeMs: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const addr = addresses[turn % addresses.length]![0];
    const began = performance.now();
    let inside = 0;
    await new Promise<void>((resolve) => {
      let called = false;
      const name = cm.addCallback(
        "BLOCK_BEGIN_CB",
        () => {
          if (called) return;
          called = true;
          firstCallMs.push(performance.now() - began);
          const removing = performance.now();
          cm.rmCallback(name);
          changeMs.push(inside + performance.now() - removing);
          resolve();
        },
        { addr },
      );
      inside = performance.now() - began;
    });
    // The guest works on, and leaves whatever the hook left behind.
    await sleep(2);
  }
  const report: HookChangesReport = { firstCallMs, changeMs, flushes: (await countFlushes()) - before };
  process.send?.(report);
}

void main(process.argv.slice(2));
