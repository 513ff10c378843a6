import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { ConfigError } from "../errors";

/** Returns the shorter way to write a path, for people who read and click it: relative where it is below the current folder. */
export function shortenPath(path: string): string {
  const inside = relative("", path);
  return inside.startsWith("..") ? path : inside;
}

/**
 * Reads a configuration file.
 *
 * @throws ConfigError when it cannot be read, or is not UTF-8
 */
export function readConfigText(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const reason = code === "EACCES" ? "no permission to read it; check its owner and mode (ls -l)" : code;
    throw new ConfigError(file, undefined, `it cannot be read: ${reason}`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const line = bytes.subarray(0, findBadByte(bytes)).toString("latin1").split("\n").length;
    throw new ConfigError(file, line, "this is not UTF-8; save the file as UTF-8 (iconv -f latin1 -t utf-8)");
  }
}

/** Finds where text stops to be UTF-8, line by line: a line end is never part of another character. */
function findBadByte(bytes: Buffer): number {
  for (let start = 0; start < bytes.length;) {
    const next = bytes.indexOf(10, start);
    const end = next === -1 ? bytes.length : next;
    if (!bytes.subarray(start, end).equals(Buffer.from(bytes.subarray(start, end).toString("utf8")))) return start;
    start = end + 1;
  }
  return 0;
}
