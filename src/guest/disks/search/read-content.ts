import { createGunzip, type Gunzip } from "node:zlib";
import { DiskError } from "../../errors";
import type { GuestFiles, GuestPlace } from "../guest-files";
import { Turn } from "../turn";

const CHUNK = 256 * 1024;
/** The size to which a packed file may grow: a small one can be made to fill any disk. */
const LARGEST_UNPACKED = 4 * 2 ** 30;

/** The part of the guest's files that a search needs. */
export type SearchableFiles = Pick<GuestFiles, "find" | "follow" | "leadsIntoKernel" | "list" | "read">;

/**
 * Reads a file from its begin to its end.
 *
 * @param unpacks whether a gzip file is unpacked
 * @param signal ends it
 * @throws DiskError when it cannot be read or unpacked
 */
export async function* readContent(
  files: SearchableFiles,
  place: GuestPlace,
  unpacks: boolean,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const start = await files.read(place, 0, CHUNK);
  const isPacked = unpacks && start[0] === 0x1f && start[1] === 0x8b;
  const raw = readOn(files, place, start, signal);
  yield* isPacked ? unpack(raw) : raw;
}

async function* readOn(
  files: SearchableFiles,
  place: GuestPlace,
  start: Buffer,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const turn = new Turn();
  let offset = 0;
  for (let piece = start; piece.length > 0; piece = await files.read(place, offset, CHUNK)) {
    yield piece;
    offset += piece.length;
    await turn.pass(signal);
  }
}

async function* unpack(raw: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: CHUNK });
  const feeding = feed(raw, gunzip);
  // The failure of the source is reported, rather than what it did to the unpacking.
  feeding.catch((error: unknown) => gunzip.destroy(error as Error));
  let size = 0;
  try {
    for await (const piece of gunzip as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > LARGEST_UNPACKED) throw new DiskError(`it unpacks to more than ${LARGEST_UNPACKED} bytes`);
      yield piece;
    }
  } catch (error) {
    if (typeof (error as NodeJS.ErrnoException).code !== "string") throw error;
    throw new DiskError(`it cannot be unpacked: ${(error as Error).message}`);
  } finally {
    gunzip.destroy();
  }
}

async function feed(raw: AsyncIterable<Uint8Array>, gunzip: Gunzip): Promise<void> {
  for await (const piece of raw) {
    if (gunzip.destroyed) return;
    if (gunzip.write(piece)) continue;
    await new Promise<void>((resolve) => {
      gunzip.once("drain", resolve);
      gunzip.once("close", resolve);
    });
  }
  gunzip.end();
}
