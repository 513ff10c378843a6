import { readFileSync } from "node:fs";

/** In /proc; the same on every x86-64 Linux. */
const TICKS_PER_SECOND = 100;

/** Counted from the state, which is the first field behind the program's name. */
const UTIME_FIELD = 11;
const STIME_FIELD = 12;

/**
 * Reads the CPU time that all threads of a process have used, ended ones included.
 *
 * @param pid of a process that exists
 * @returns milliseconds, in steps of 10
 */
export function readCpuTimeMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name may hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[UTIME_FIELD]) + Number(fields[STIME_FIELD])) * 1000) / TICKS_PER_SECOND;
}
