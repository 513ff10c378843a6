import { relative } from "node:path";

/** Returns the shorter way to write a path, for people who read and click it: relative where it is below the current folder. */
export function shortenPath(path: string): string {
  const inside = relative("", path);
  return inside.startsWith("..") ? path : inside;
}
