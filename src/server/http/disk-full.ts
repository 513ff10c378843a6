/** The codes of errors by which a full disk shows: of SQLite, and of the system. */
const CODES = ["SQLITE_FULL", "SQLITE_IOERR_WRITE", "ENOSPC", "EDQUOT"];

/** Returns whether an error says that the disk is full. */
export function isDiskFull(error: unknown): boolean {
  return CODES.includes(String((error as { code?: unknown } | null)?.code));
}
