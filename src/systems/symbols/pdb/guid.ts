/**
 * Formats a GUID as symbol servers do: its first three numbers are little-endian in memory.
 *
 * @param bytes 16 of them
 */
export function formatGuid(bytes: Uint8Array): string {
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return order
    .map((at) => (bytes[at] as number).toString(16).padStart(2, "0"))
    .join("")
    .toUpperCase();
}
