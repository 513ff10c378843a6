import { statfsSync } from "node:fs";

/** The codes of errors by which a full disk shows: of SQLite, and of the system. */
const DISK_FULL = ["SQLITE_FULL", "SQLITE_IOERR_WRITE", "ENOSPC", "EDQUOT"];
/** With less free space a disk is full for those who write more than a line, in bytes. */
const LEAST_ROOM = 4 << 20;
/** An error may be its own cause. */
const MOST_CAUSES = 8;

/** Returns whether an error says that the disk is full. @param error or what is known of it: its code */
export function isDiskFull(error: unknown): boolean {
  return DISK_FULL.includes(String((error as { code?: unknown } | null)?.code));
}

/**
 * Finds the code of an error by which something has failed, or of its cause: one of rebox's, or of the system. Where the disk is full at this moment it is
 * "ENOSPC", as programs tell of that by words alone.
 *
 * @param folder on whose disk that was, absolute
 */
export function findFailureCode(error: unknown, folder: string): string | undefined {
  if (isFull(folder)) return "ENOSPC";
  let at = error;
  for (let depth = 0; depth < MOST_CAUSES && at !== undefined; depth++) {
    const { code, cause } = (at ?? {}) as { readonly code?: unknown; readonly cause?: unknown };
    if (typeof code === "string") return code;
    at = cause;
  }
  return undefined;
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
