/** Measures reads of a paused guest, in loops: guest-reads <QEMU's arguments> */

import { getRunningProcess, readCpu, readPa, readVa, vaToPa, viewPa } from "../../src/doors/rebox";
import { getMedian } from "../sample-summary";
import { createMachine } from "./machine";
import { waitToProceed } from "./proceeding";

/** Nanoseconds for each kind of read. */
export type GuestReadsReport = Readonly<Record<string, number>>;

const ROUNDS = 9;
const ROUND_MS = 100;
const BATCH = 10_000;
const SIZE = 8;

/** Something of every value read is kept here, or the compiler would not read it. */
let kept = 0n;
let keptNumber = 0;

/**
 * Returns the median over rounds, in nanoseconds of CPU time: a read waits for nothing, and whoever else uses the machine
 * shall not count. The first third of the rounds is for V8 to compile the loop.
 */
function measure(readBatch: (count: number) => void): number {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    let reads = 0;
    const endMs = performance.now() + ROUND_MS;
    const before = process.cpuUsage();
    while (performance.now() < endMs) {
      readBatch(BATCH);
      reads += BATCH;
    }
    const { user, system } = process.cpuUsage(before);
    rounds.push(((user + system) * 1000) / reads);
  }
  return getMedian(rounds.slice(ROUNDS / 3));
}

function measureReads(): GuestReadsReport {
  const cpu = readCpu(0);
  const pgd = getRunningProcess(0);
  // The kernel's system call entry: mapped in every address space, in RAM.
  const virtual = cpu.LSTAR;
  const physical = vaToPa(pgd, virtual);
  const view = viewPa(physical, SIZE);
  const values: bigint[] = Array.from({ length: 64 }, () => 0n);
  return {
    "register-read": measure((count) => {
      let sum = 0n;
      for (let i = 0; i < count; i++) {
        sum = BigInt.asUintN(64, sum + cpu.RAX);
      }
      kept ^= sum;
    }),
    "register-read: value kept": measure((count) => {
      for (let i = 0; i < count; i++) {
        values[i & 63] = cpu.RAX;
      }
    }),
    "register-read: RFLAGS": measure((count) => {
      let sum = 0n;
      for (let i = 0; i < count; i++) {
        sum = BigInt.asUintN(64, sum + cpu.RFLAGS);
      }
      kept ^= sum;
    }),
    "read-pa": measure((count) => {
      let sum = 0n;
      for (let i = 0; i < count; i++) {
        sum = BigInt.asUintN(64, sum + readPa(physical, SIZE).readBigUInt64LE());
      }
      kept ^= sum;
    }),
    "view-pa": measure((count) => {
      let sum = 0n;
      for (let i = 0; i < count; i++) {
        sum = BigInt.asUintN(64, sum + view.getBigUint64(0, true));
      }
      kept ^= sum;
    }),
    "view-pa: a new view each": measure((count) => {
      let sum = 0n;
      for (let i = 0; i < count; i++) {
        sum = BigInt.asUintN(64, sum + viewPa(physical, SIZE).getBigUint64(0, true));
      }
      kept ^= sum;
    }),
    "read-va": measure((count) => {
      let sum = 0n;
      for (let i = 0; i < count; i++) {
        sum = BigInt.asUintN(64, sum + readVa(pgd, virtual, SIZE).readBigUInt64LE());
      }
      kept ^= sum;
    }),
    "va-to-pa": measure((count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        sum += Number(vaToPa(pgd, virtual) & 0xfffn);
      }
      keptNumber += sum;
    }),
  };
}

async function main(argv: readonly string[]): Promise<void> {
  const engine = createMachine(argv);
  engine.run();
  await waitToProceed();
  await engine.pause();
  const report = measureReads();
  if (kept === -1n || keptNumber < 0) {
    throw new Error("a sum of unsigned numbers is negative");
  }
  process.send?.(report);
}

void main(process.argv.slice(2));
