import { statfsSync } from "node:fs";

/** Codes of errors by which a full disk shows: of SQLite, and of the system. */
const DISK_FULL = ["SQLITE_FULL", "SQLITE_IOERR_WRITE", "ENOSPC", "EDQUOT"];
/** With less free space a disk is full for those who write more than a line, in bytes. */
const LEAST_ROOM = 4 << 20;
/** An error may be its own cause. */
const MOST_CAUSES = 8;
/** The code that says least: that of its cause says more. */
const PLAIN = "REBOX_ANALYSIS";
/** The beginning of rebox's own codes; all others are of the system, and of libraries. */
const OWN = "REBOX_";
/** Those of rebox's codes that say no more than that a program, a machine or a way into its guest has failed: a full disk makes them fail, and shows in words alone. */
const HIDING = [
  ...["MACHINERY", "MACHINERY_CONNECTION", "MACHINE_FAILED", "MACHINE_STATE_TIMEOUT", "PROGRAM", "QMP_COMMAND", "LAB"],
  ...["GUEST_GONE", "WAY_IN", "NETWORK", "NETWORK_GONE", "TIME_LIMIT"],
].map((name) => `${OWN}${name}`);

/** Returns whether an error says that the disk is full. @param error or what is known of it: its code */
export function isDiskFull(error: unknown): boolean {
  return DISK_FULL.includes(String((error as { code?: unknown } | null)?.code));
}

/** Finds the code of an error, or of its cause: one of rebox's, or of the system. */
export function findCode(error: unknown): string | undefined {
  let [at, plain] = [error, undefined as string | undefined];
  for (let depth = 0; depth < MOST_CAUSES && at !== undefined; depth++) {
    const { code, cause } = (at ?? {}) as { readonly code?: unknown; readonly cause?: unknown };
    if (typeof code === "string" && code !== PLAIN) return code;
    if (code === PLAIN) plain = PLAIN;
    at = cause;
  }
  return plain;
}

/**
 * Finds the code of an error by which something has failed. Where that says no more than that a program or a machine has failed, and the disk is full at this
 * moment, it is "ENOSPC": they tell of a full disk by words alone.
 *
 * @param folder on whose disk that was, absolute
 */
export function findFailureCode(error: unknown, folder: string): string | undefined {
  const code = findCode(error);
  const mayHide = code === undefined || !code.startsWith(OWN) || HIDING.includes(code);
  return mayHide && isFull(folder) ? "ENOSPC" : code;
}

function isFull(folder: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize < LEAST_ROOM;
  } catch {
    // It is gone, or its disk is: the error itself says more.
    return false;
  }
}
