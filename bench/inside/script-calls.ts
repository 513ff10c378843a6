/** Counts blocks in a script for a while: script-calls sandboxed|trusted count|read|process|stream <QEMU's arguments> */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SANDBOXED, TRUSTED } from "../../src/config/script-permissions";
import { doors } from "../../src/doors/doors";
import { ScriptHost } from "../../src/scripts/script-host";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

/** What was counted in the window. */
export interface ScriptCallsReport {
  readonly calls: number;
  /** Of all threads. */
  readonly cpuMs: number;
  /** How long a reload takes while the guest runs: the median of some. */
  readonly reloadMs: number;
}

const WARM_UP_MS = 2000;
const WINDOW_MS = 3000;
const RELOADS = 9;
const SCRIPT = join(__dirname, "../../../../bench/inside/counting-script.ts");

async function main([where, kind = "count", ...argv]: readonly string[]): Promise<void> {
  createMachine(argv).run();
  await waitToProceed();
  const permissions = where === "trusted" ? TRUSTED : SANDBOXED;
  const host = new ScriptHost({ folders: [], getApi: () => doors, getPermissions: () => permissions });
  const { handle } = await host.load(SCRIPT);
  await host.runCommand(`begin ${kind}`);
  await sleep(WARM_UP_MS);
  const readCalls = async () => Number(await host.runCommand("calls"));
  const readCpuMs = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  const before = { calls: await readCalls(), cpuMs: readCpuMs() };
  await sleep(WINDOW_MS);
  const after = { calls: await readCalls(), cpuMs: readCpuMs() };
  const reloads: number[] = [];
  for (let reload = 0; reload < RELOADS; reload++) {
    const beganMs = performance.now();
    await host.reload(handle);
    reloads.push(performance.now() - beganMs);
    await sleep(50);
  }
  const report: ScriptCallsReport = {
    calls: after.calls - before.calls,
    cpuMs: after.cpuMs - before.cpuMs,
    reloadMs: reloads.toSorted((a, b) => a - b)[RELOADS >> 1] ?? 0,
  };
  process.send?.(report);
}

void main(process.argv.slice(2));
