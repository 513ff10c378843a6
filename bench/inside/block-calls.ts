/** Counts the calls of BLOCK_BEGIN_CB in a time window: block-calls count|read <QEMU's arguments> */

import { setTimeout as sleep } from "node:timers/promises";
import {
  ALL_PROCESSES,
  CallbackManager,
  type Cpu,
  startMonitoringProcess,
  type TranslationBlock,
} from "../../src/doors/rebox";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

/** What was counted in the window. */
export interface BlockCallsReport {
  readonly calls: number;
  readonly elapsedMs: number;
  /** Of all threads. */
  readonly cpuMs: number;
  /** In bytes, after a full garbage collection. */
  readonly heapGrowth: number;
  /** In bytes. */
  readonly residentGrowth: number;
}

const WARM_UP_MS = 2000;
const WINDOW_MS = 3000;
const MODULE_HANDLE = 1;

let calls = 0;
let mixed = 0n;

function count(_cpuIndex: number, _cpu: Cpu, _tb: TranslationBlock): void {
  calls++;
}

function read(_cpuIndex: number, cpu: Cpu, tb: TranslationBlock): void {
  calls++;
  mixed = BigInt.asUintN(64, mixed + tb.pc + cpu.RAX);
}

function takeStock() {
  globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return { heapUsed, rss, cpuMs: (user + system) / 1000, calls, nowMs: performance.now() };
}

async function main([variant, ...argv]: readonly string[]): Promise<void> {
  createMachine(argv).run();
  await waitToProceed();
  startMonitoringProcess(ALL_PROCESSES);
  new CallbackManager(MODULE_HANDLE).addCallback("BLOCK_BEGIN_CB", variant === "read" ? read : count);
  await sleep(WARM_UP_MS);
  const before = takeStock();
  await sleep(WINDOW_MS);
  const elapsedMs = performance.now() - before.nowMs;
  const called = calls - before.calls;
  const after = takeStock();
  const report: BlockCallsReport = {
    calls: called,
    elapsedMs,
    cpuMs: after.cpuMs - before.cpuMs,
    heapGrowth: after.heapUsed - before.heapUsed,
    residentGrowth: after.rss - before.rss,
  };
  process.send?.(report);
}

void main(process.argv.slice(2));
