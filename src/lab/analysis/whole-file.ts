import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";

/** In bytes or characters; what is written at once. */
const CHUNK = 1 << 20;

/**
 * Writes a file piece by piece: it is never in memory as a whole, and it is there as a whole or not at all.
 *
 * @throws Error of node:fs
 */
export function writeWholeFile(file: string, pieces: Iterable<string | Uint8Array>): void {
  const temporary = `${file}.${process.pid}.new`;
  const descriptor = openSync(temporary, "w", 0o644);
  try {
    let waiting: Uint8Array[] = [];
    let text = "";
    let size = 0;
    const endText = (): void => {
      if (text !== "") waiting.push(Buffer.from(text));
      text = "";
    };
    const flush = (): void => {
      endText();
      const bytes = Buffer.concat(waiting);
      for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
      [waiting, size] = [[], 0];
    };
    for (const piece of pieces) {
      if (typeof piece === "string") {
        text += piece;
      } else {
        endText();
        waiting.push(piece);
      }
      size += piece.length;
      if (size >= CHUNK) flush();
    }
    flush();
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, file);
}
