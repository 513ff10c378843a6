/** Measures symbol files and runs of Volatility on a Linux guest: volatility CACHE-FOLDER <QEMU's arguments> */

import { rmSync } from "node:fs";
import { join } from "node:path";
import { volatility, waitForGuest, writeIsf } from "../../src/doors/rebox";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

export interface VolatilityReport {
  readonly isfMs: number;
  readonly isfCpuMs: number;
  /** Of rebox's own, of each run. */
  readonly ownMs: readonly number[];
  readonly volatilityMs: readonly number[];
}

const RUNS = 3;

async function main([folder = "", ...argv]: readonly string[]): Promise<void> {
  process.env["XDG_CACHE_HOME"] = folder;
  const engine = createMachine(argv);
  engine.run();
  await waitToProceed();
  const guest = await waitForGuest();
  const file = join(folder, "symbols.json");
  // Its CPU time shall be the symbol file's alone.
  await engine.pause();
  const before = process.cpuUsage();
  const startMs = performance.now();
  writeIsf(file, guest);
  const isfMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(before);
  await engine.resume();
  rmSync(file);
  const ownMs: number[] = [];
  const volatilityMs: number[] = [];
  // Which plugins there are is asked once for each version of Volatility.
  await volatility.list();
  for (let run = 0; run < RUNS; run++) {
    const result = await volatility.run("linux.pslist");
    if (result.rows.length < 20) throw new Error(`Volatility found ${result.rows.length} processes`);
    ownMs.push(result.ownMs);
    volatilityMs.push(result.volatilityMs);
  }
  const report: VolatilityReport = { isfMs, isfCpuMs: (user + system) / 1000, ownMs, volatilityMs };
  process.send?.(report);
}

void main(process.argv.slice(2));
