import { createHash } from "node:crypto";
import { createReadStream, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** Computes the SHA-256 of a file of this host, in hexadecimal. @throws the reason of the signal once that is aborted */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const stream = createReadStream(path, { highWaterMark: 1 << 20 });
  await pipeline(stream, hash, signal === undefined ? {} : { signal }).catch((error: unknown) => {
    throw signal?.aborted === true ? signal.reason : error;
  });
  return hash.digest("hex");
}

/** Lists the files below a folder, by their paths from there. Links, sockets and what begins with a dot are none. */
export function listFiles(folder: string, top = ""): string[] {
  const start = join(folder, top);
  if (!existsSync(start)) return [];
  return readdirSync(start, { withFileTypes: true }).flatMap((entry) => {
    const path = join(top, entry.name);
    if (entry.name.startsWith(".")) return [];
    return entry.isDirectory() ? listFiles(folder, path) : entry.isFile() ? [path] : [];
  });
}
