import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** The variable by which the processes of an analysis are known. */
export const MARK = "REBOX_ANALYSIS";

const MOST_ROUNDS = 100;
const POLL_MS = 50;

/** Lists the processes that have a mark in their environment, which children inherit; zombies and this process are left out. */
export function findMarked(mark: string): number[] {
  const wanted = `${MARK}=${mark}`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => {
      try {
        // Of a zombie it is empty; of another user's process it cannot be read.
        return readFileSync(`/proc/${name}/environ`, "latin1").split("\0").includes(wanted);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/**
 * Kills the processes that have a mark, and those that they start before they die.
 *
 * @returns how many there were
 */
export async function killMarked(mark: string): Promise<number> {
  const killed = new Set<number>();
  for (let round = 0; round < MOST_ROUNDS; round++) {
    if (killOnce(mark, killed) === 0) break;
    await sleep(POLL_MS);
  }
  return killed.size;
}

/** Kills the same at once: nothing else is done in this process in the meantime. */
export function killMarkedAtOnce(mark: string): void {
  for (let round = 0; round < MOST_ROUNDS; round++) if (killOnce(mark, new Set()) === 0) break;
}

/** Returns how many processes with the mark were found. */
function killOnce(mark: string, killed: Set<number>): number {
  const found = findMarked(mark);
  for (const pid of found) {
    try {
      process.kill(pid, "SIGKILL");
      killed.add(pid);
    } catch {
      // Gone by itself.
    }
  }
  return found.length;
}
