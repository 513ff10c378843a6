/** Measures what it takes to know a paused Linux guest: linux-guest CACHE-FOLDER <QEMU's arguments> */

import { getGuest, getProcessList, getSymbolList, symToVa, vaToSym } from "../../src/doors/rebox";
import { getMedian } from "../sample-summary";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

export interface LinuxGuestReport {
  /** By wall clock, and in CPU time of this thread's process: the first call in a process, compilation included. */
  readonly attachMs: number;
  readonly attachCpuMs: number;
  readonly processes: number;
  readonly listMs: number;
  readonly firstListMs: number;
  /** Millions a second of CPU time. */
  readonly byName: number;
  readonly byAddress: number;
}

const ROUNDS = 9;
const LISTS = 20;
const ROUND_MS = 100;

function time(call: () => void): { elapsedMs: number; cpuMs: number } {
  const before = process.cpuUsage();
  const startMs = performance.now();
  call();
  const { user, system } = process.cpuUsage(before);
  return { elapsedMs: performance.now() - startMs, cpuMs: (user + system) / 1000 };
}

/** The first third of the rounds is for V8 to compile. */
function measure(round: () => number): number {
  const rounds = Array.from({ length: ROUNDS }, round);
  return getMedian(rounds.slice(ROUNDS / 3));
}

/** Asks for every symbol in turn, each a different one than the last, and returns millions a second of CPU time. */
function measureLookUps(count: number, lookUp: (index: number) => void): number {
  let index = 0;
  return measure(() => {
    let calls = 0;
    const endMs = performance.now() + ROUND_MS;
    const { cpuMs } = time(() => {
      while (performance.now() < endMs) {
        // Far apart in the table: neighbours would be in the processor's caches.
        for (let turn = 0; turn < 1000; turn++) lookUp((index = (index + 7919) % count));
        calls += 1000;
      }
    });
    return calls / 1000 / cpuMs;
  });
}

async function main([folder = "", ...argv]: readonly string[]): Promise<void> {
  process.env["XDG_CACHE_HOME"] = folder;
  const engine = createMachine(argv);
  engine.run();
  await waitToProceed();
  await engine.pause();
  const attach = time(() => void getGuest());
  let processes = 0;
  const firstListMs = time(() => void (processes = getProcessList().length)).cpuMs;
  const listMs = measure(() => {
    const { cpuMs } = time(() => {
      for (let turn = 0; turn < LISTS; turn++) getProcessList();
    });
    return cpuMs / LISTS;
  });
  const symbols = getSymbolList(0n, "*").filter(({ module, type }) => module === "kernel" && /[tT]/.test(type ?? ""));
  const names = symbols.map(({ name }) => name);
  const addresses = symbols.map(({ address, size }) => address + BigInt(Math.min(size ?? 0, 4)));
  let missed = 0;
  const byName = measureLookUps(names.length, (index) => {
    if (symToVa(0n, "kernel", names[index] as string) === undefined) missed++;
  });
  const byAddress = measureLookUps(addresses.length, (index) => {
    if (vaToSym(0n, addresses[index] as bigint) === undefined) missed++;
  });
  if (missed > 0) throw new Error(`${missed} symbols were not found`);
  const report: LinuxGuestReport = {
    ...{ attachMs: attach.elapsedMs, attachCpuMs: attach.cpuMs, processes, listMs, firstListMs, byName, byAddress },
  };
  process.send?.(report);
}

void main(process.argv.slice(2));
