import { readFileSync } from "node:fs";

/** A process that is surely the one it was: process ids are used again, but not with the same time of start. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since this host has booted: field 22 of /proc/PID/stat, proc(5). */
  readonly startTicks: number;
  /** The boot of the host: start times begin anew with each. */
  readonly bootId: string;
}

/** Returns the identity of a process that runs; undefined when there is none, or only its zombie. */
export function findProcess(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the program's name in parentheses, which may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    return { pid, startTicks: Number(fields[19]), bootId };
  } catch {
    return undefined;
  }
}

/** Returns whether a process still runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  const now = findProcess(identity.pid);
  return now !== undefined && now.startTicks === identity.startTicks && now.bootId === identity.bootId;
}

/** A clock tick of /proc, in milliseconds: USER_HZ of Linux is 100 everywhere. */
const TICK_MS = 10;

/** Returns the processor time that a process has used, fields 14 and 15 of proc(5); undefined when it is gone. */
export function readProcessorTimeMs(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return undefined;
  }
}
