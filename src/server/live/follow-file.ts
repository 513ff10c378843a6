import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** The time between two looks at a file that grows, in milliseconds. */
const POLL_MS = 100;
const CHUNK = 64 << 10;

/**
 * Reads the end of a file, and then what is added to it. One that was emptied is read from its beginning.
 *
 * @param history how much of what was there before is read, in bytes
 * @param onBytes gets the bytes; the next are read when it is done
 */
export async function followFile(
  path: string,
  history: number,
  signal: AbortSignal,
  onBytes: (bytes: Buffer) => Promise<void> | void,
): Promise<void> {
  const file = await open(path, "r");
  try {
    let at = Math.max(0, (await file.stat()).size - history);
    const buffer = Buffer.alloc(CHUNK);
    while (!signal.aborted) {
      const { size } = await file.stat();
      if (size < at) at = 0;
      const { bytesRead } = await file.read(buffer, 0, CHUNK, at);
      at += bytesRead;
      if (bytesRead > 0) await onBytes(Buffer.from(buffer.subarray(0, bytesRead)));
      else await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await file.close();
  }
}
