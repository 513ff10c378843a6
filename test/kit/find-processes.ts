import { readdirSync, readFileSync } from "node:fs";

/** Finds the running processes that have all these words among their arguments. @returns their ids */
export function findProcesses(...words: readonly string[]): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((id) => {
      const args = readArguments(id);
      return words.every((word) => args.includes(word));
    })
    .map(Number);
}

function readArguments(id: string): readonly string[] {
  try {
    return readFileSync(`/proc/${id}/cmdline`, "utf8").split("\0");
  } catch {
    // It has ended.
    return [];
  }
}
