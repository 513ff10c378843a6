/**
 * Measures how late 10 ms timers are, one after the other: timers alone, or timers watched|unwatched <QEMU's arguments>
 */

import { ALL_PROCESSES, CallbackManager, startMonitoringProcess } from "../../src/doors/rebox";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

const PERIOD_MS = 10;
const SETTLING_MS = 1000;
const WINDOW_MS = 10_000;
const MODULE_HANDLE = 1;

/** Returns the lateness of each timer in milliseconds. */
function measureTimers(): Promise<number[]> {
  return new Promise((resolve) => {
    const lateness: number[] = [];
    const endMs = performance.now() + SETTLING_MS + WINDOW_MS;
    const start = () => {
      const targetMs = performance.now() + PERIOD_MS;
      setTimeout(() => {
        const nowMs = performance.now();
        if (nowMs >= endMs) {
          resolve(lateness);
          return;
        }
        if (nowMs >= endMs - WINDOW_MS) {
          lateness.push(Math.max(0, nowMs - targetMs));
        }
        start();
      }, PERIOD_MS);
    };
    start();
  });
}

async function main([variant, ...argv]: readonly string[]): Promise<void> {
  if (variant !== "alone") {
    createMachine(argv).run();
  }
  await waitToProceed();
  let calls = 0;
  if (variant === "watched") {
    startMonitoringProcess(ALL_PROCESSES);
    new CallbackManager(MODULE_HANDLE).addCallback("BLOCK_BEGIN_CB", () => {
      calls++;
    });
  }
  process.send?.({ lateness: await measureTimers(), calls });
}

void main(process.argv.slice(2));
