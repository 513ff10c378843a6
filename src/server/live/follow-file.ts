import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** The time between two looks at a file that grows, in milliseconds. */
const POLL_MS = 100;
const CHUNK = 64 << 10;

/** Ends the reading of a file. */
export interface FollowSignals {
  /** At once. */
  readonly stop: AbortSignal;
  /** When all is read that is there then: nothing more is added. */
  readonly last: AbortSignal;
}

/**
 * Reads the end of a file, and then what is added to it. One that was emptied is read from its beginning.
 *
 * @param history how much of what was there before is read, in bytes
 * @param onBytes gets the bytes; the next are read when it is done
 */
export async function followFile(
  path: string,
  history: number,
  { stop, last }: FollowSignals,
  onBytes: (bytes: Buffer) => Promise<void> | void,
): Promise<void> {
  const file = await open(path, "r");
  const waking = AbortSignal.any([stop, last]);
  try {
    let at = Math.max(0, (await file.stat()).size - history);
    const buffer = Buffer.alloc(CHUNK);
    while (!stop.aborted) {
      // Asked before the file is read: what comes before the end is in it then.
      const isLast = last.aborted;
      const { size } = await file.stat();
      if (size < at) at = 0;
      const { bytesRead } = await file.read(buffer, 0, CHUNK, at);
      at += bytesRead;
      if (bytesRead > 0) await onBytes(Buffer.from(buffer.subarray(0, bytesRead)));
      else if (isLast) return;
      else await sleep(POLL_MS, undefined, { signal: waking }).catch(() => undefined);
    }
  } finally {
    await file.close();
  }
}
