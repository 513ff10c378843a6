import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { type BenchOptions, parseBenchOptions } from "./bench-options";
import { getBuildFolder } from "./guest-arguments";
import { isPlainQemuThere } from "./guest-process";
import { type MachineFacts, readMachineFacts } from "./machine-facts";
import type { Measure } from "./measure";
import { apiTrace } from "./measures/api-trace";
import { blockBegin } from "./measures/block-begin";
import { cluster } from "./measures/cluster";
import { clusterCosts } from "./measures/cluster-costs";
import { clusterModel } from "./measures/cluster-model";
import { commands } from "./measures/commands";
import { contextChange } from "./measures/context-change";
import { eventRates } from "./measures/event-rates";
import { guestReads } from "./measures/guest-reads";
import { haltedCpu } from "./measures/halted-cpu";
import { hookChanges } from "./measures/hook-changes";
import { idleOverhead } from "./measures/idle-overhead";
import { investigations } from "./measures/investigations";
import { observation } from "./measures/observation";
import { processEvents } from "./measures/process-events";
import { linuxGuest } from "./measures/linux-guest";
import { linuxGuestDrgn } from "./measures/linux-guest-drgn";
import { volatility } from "./measures/volatility";
import { readyMachines } from "./measures/ready-machines";
import { memorySearch, readyScripts } from "./measures/ready-scripts";
import { rejectedEvents } from "./measures/rejected-events";
import { replay } from "./measures/replay";
import { report } from "./measures/report";
import { scripts } from "./measures/scripts";
import { server } from "./measures/server";
import { serverScreen } from "./measures/server-screen";
import { shell } from "./measures/shell";
import { startUp } from "./measures/start-up";
import { syscallTrace } from "./measures/syscall-trace";
import { timerLateness } from "./measures/timer-lateness";
import type { ResultRow } from "./result-row";
import { formatTable } from "./result-table";

const MEASURES: readonly Measure[] = [
  idleOverhead,
  blockBegin,
  guestReads,
  timerLateness,
  haltedCpu,
  startUp,
  commands,
  contextChange,
  processEvents,
  syscallTrace,
  apiTrace,
  memorySearch,
  readyScripts,
  observation,
  report,
  rejectedEvents,
  eventRates,
  hookChanges,
  scripts,
  linuxGuest,
  shell,
  linuxGuestDrgn,
  volatility,
  investigations,
  readyMachines,
  server,
  serverScreen,
  cluster,
  clusterCosts,
  clusterModel,
  replay,
];
const NAMES = MEASURES.map(({ name }) => name);

const USAGE = `usage: npm run bench -- [--pairs N | --quick] [--only NAME]... [--no-limits]

  --pairs N     measures everything N times, in pairs where it is compared (5)
  --quick       2 pairs, for trying out
  --only NAME   only this measure; may be given more than once: ${NAMES.join(", ")}
  --no-limits   exit status 0 also when a limit is not kept`;

function say(text: string): void {
  console.error(`[load ${loadavg()[0]?.toFixed(2)}] ${text}`);
}

async function measure({ pairs, only }: BenchOptions): Promise<ResultRow[]> {
  const rows: ResultRow[] = [];
  const chosen = MEASURES.filter(({ name }) => only.length === 0 || only.includes(name));
  const comparing = chosen.filter(({ needsPlainQemu }) => needsPlainQemu);
  // Said before hours have been spent on others.
  if (comparing.length > 0 && !isPlainQemuThere())
    throw new Error(`${comparing.map(({ name }) => name).join(", ")}: plain QEMU, which they compare with, is not built: npm run setup -- --for bench`); // prettier-ignore
  for (const each of chosen) rows.push(...(await each.run({ pairs, say })));
  return rows;
}

function save(machine: MachineFacts, pairs: number, rows: readonly ResultRow[]): string {
  const folder = join(getBuildFolder(), "bench");
  mkdirSync(folder, { recursive: true });
  // A colon in a file's name is trouble on some file systems.
  const file = join(folder, `${machine.date.replaceAll(":", "-")}.json`);
  writeFileSync(file, `${JSON.stringify({ machine, pairs, rows }, null, 2)}\n`);
  return file;
}

async function main(): Promise<number> {
  let options: BenchOptions;
  try {
    options = parseBenchOptions(process.argv.slice(2), NAMES);
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n\n${USAGE}`);
    return 1;
  }
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  const machine = readMachineFacts();
  const { cpu, cores, node, qemu, guestKernel, load } = machine;
  console.log(`${cpu}, ${cores} cores; Node ${node}; QEMU ${qemu}; guest Linux ${guestKernel}`);
  console.log(`load average at the start: ${load.join(" ")}`);
  const rows = await measure(options);
  console.log(`\n${formatTable(rows)}\n\nwritten to ${save(machine, options.pairs, rows)}`);
  return options.limits && rows.some(({ ok }) => ok === false) ? 1 : 0;
}

// Measured processes are killed when this one exits, so a signal has to be an exit.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => process.exit(130));
}

main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
