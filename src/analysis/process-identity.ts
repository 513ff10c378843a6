import { readFileSync } from "node:fs";

/**
 * Tells a process from every other one of this boot, also from a later one with the same pid.
 *
 * @param pid the process
 * @returns text to compare, or undefined when there is no such process, or it has ended and was not waited for
 */
export function findProcessIdentity(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name may hold blanks and parentheses; proc(5): state is the 3rd field, starttime the 22nd.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : `${pid}:${fields[19]}`;
  } catch {
    return undefined;
  }
}
