/** Counts the events that reach a script in a time window: event-rates <variant> <QEMU's arguments> */

import { setTimeout as sleep } from "node:timers/promises";
import { ALL_PROCESSES, CallbackManager, type EventBatch, startMonitoringProcess } from "../../src/doors/rebox";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

export type RateVariant = "block-stream" | "memory-stream" | "insn-calls" | "memory-calls";

/** What was counted in the window. */
export interface EventRateReport {
  readonly events: number;
  readonly elapsedMs: number;
  /** Of all threads. */
  readonly cpuMs: number;
  /** Made of everything that was read, so that all of it has to be. */
  readonly mixed: number;
}

const WARM_UP_MS = 2000;
const WINDOW_MS = 3000;
const MODULE_HANDLE = 1;

let events = 0;
let mixed = 0;

/** Reads where each block is, how long it is and who executed it. */
function readBlocks(batch: EventBatch): void {
  const { length, cpu, size } = batch;
  const { pc, pgd } = batch.words;
  for (let i = 0; i < length; i++) {
    const at = 2 * i;
    mixed ^= pc[at]! ^ pc[at + 1]! ^ pgd[at]! ^ pgd[at + 1]! ^ cpu[i]! ^ size[i]!;
  }
  events += length;
}

/** Reads who accessed what, and the value. */
function readAccesses(batch: EventBatch): void {
  const { length, size } = batch;
  const { pc, address, data } = batch.words;
  for (let i = 0; i < length; i++) {
    const at = 2 * i;
    mixed ^= pc[at]! ^ pc[at + 1]! ^ address[at]! ^ address[at + 1]! ^ data[at]! ^ data[at + 1]! ^ size[i]!;
  }
  events += length;
}

function subscribe(variant: RateVariant): void {
  const cm = new CallbackManager(MODULE_HANDLE);
  const count = () => void events++;
  startMonitoringProcess(ALL_PROCESSES);
  switch (variant) {
    case "block-stream":
      cm.addStream("BLOCK_BEGIN_CB", readBlocks, { columns: ["cpu", "pc", "pgd", "size"] });
      break;
    case "memory-stream":
      cm.addStream("MEM_READ_CB", readAccesses, { columns: ["pc", "address", "data", "size"] });
      cm.addStream("MEM_WRITE_CB", readAccesses, { columns: ["pc", "address", "data", "size"] });
      break;
    case "insn-calls":
      cm.addCallback("INSN_BEGIN_CB", count);
      break;
    case "memory-calls":
      cm.addCallback("MEM_READ_CB", count);
      cm.addCallback("MEM_WRITE_CB", count);
      break;
  }
}

async function main([variant, ...argv]: readonly string[]): Promise<void> {
  createMachine(argv).run();
  await waitToProceed();
  subscribe(variant as RateVariant);
  await sleep(WARM_UP_MS);
  const takeStock = () => ({ events, nowMs: performance.now(), cpu: process.cpuUsage() });
  const before = takeStock();
  await sleep(WINDOW_MS);
  const after = takeStock();
  const toMs = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1000;
  const report: EventRateReport = {
    events: after.events - before.events,
    elapsedMs: after.nowMs - before.nowMs,
    cpuMs: toMs(after.cpu) - toMs(before.cpu),
    mixed,
  };
  process.send?.(report);
}

void main(process.argv.slice(2));
