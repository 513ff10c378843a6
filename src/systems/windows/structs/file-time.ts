/** FILETIME counts 100 ns since 1601; this is 1970 (https://learn.microsoft.com/windows/win32/sysinfo/converting-a-time-t-value-to-a-file-time). */
const UNIX_EPOCH = 116_444_736_000_000_000n;
const STEP_NS = 100n;

/** Makes a FILETIME the nanoseconds since 1970. */
export function fileTimeToNs(fileTime: bigint): bigint {
  return (fileTime - UNIX_EPOCH) * STEP_NS;
}

/** Makes a FILETIME a date; 1970 for one that was never set. */
export function fileTimeToDate(fileTime: bigint): Date {
  return new Date(fileTime === 0n ? 0 : Number(fileTimeToNs(fileTime) / 1_000_000n));
}
