import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { CancelledError } from "../../config/errors";
import { hashFile } from "../../config/host-files";
import { type ArtefactStore, getContentKey } from "../../lab/cluster/artefact-store";
import type { PublishedFile, PublishedState } from "../../lab/cluster/golden-list";
import type { Cluster } from "../../lab/cluster/open-cluster";
import { GoldenStateError } from "../../lab/errors";
import { CONTENT_FRESH_MS } from "./carry-files";
import type { GoldenFile, GoldenState } from "../../lab/machinery/golden/golden-state";

/** The size of a piece, in bytes: states of one machine have most of their RAM in common, so most pieces are in the store already. */
export const PIECE_SIZE = 4 << 20;

/**
 * Puts a golden state into a cluster's store, by content, and into its list.
 *
 * @param onProgress gets the bytes that were read so far, and all of them
 * @param signal ends it: nothing is published then
 * @returns the bytes that were not in the store before
 * @throws CancelledError; GoldenStateError for a state that is not whole; ClusterError when the store cannot be reached
 */
export async function publishGolden(
  { golden, store, lab }: Cluster,
  state: GoldenState,
  onProgress: (done: number, all: number) => void,
  signal?: AbortSignal,
): Promise<number> {
  const { manifest, folder } = state;
  const all = manifest.files.reduce((sum, { size }) => sum + size, 0);
  const making = mkdtempSync(join(folder, ".publishing-"));
  let [done, sent] = [0, 0];
  const checkSignal = () => {
    if (signal?.aborted === true) throw new CancelledError("publishing was cancelled");
  };
  try {
    const kept = new Set((await golden.list()).flatMap((other) => other.files.flatMap(({ pieces }) => pieces)));
    const files: PublishedFile[] = [];
    for (const file of manifest.files)
      files.push(
        await putPieces({ store, kept }, join(folder, file.path), file, join(making, "piece"), (read, put) => {
          checkSignal();
          [done, sent] = [done + read, sent + put];
          onProgress(done, all);
        }),
      );
    const needs = [];
    for (const { path, size } of manifest.origin.inputs) {
      checkSignal();
      needs.push({ path, size, sha256: await hashFile(path) });
    }
    checkSignal();
    const published: PublishedState = { machine: manifest.machine, name: manifest.name, lab, manifest, files, needs };
    await golden.publish(published);
    return sent;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** @param kept contents of published states: nobody removes them; of the others only what is new is safe from a prune that runs now */
async function putPieces(
  { store, kept }: { readonly store: ArtefactStore; readonly kept: ReadonlySet<string> },
  path: string,
  { path: name, size, sha256 }: GoldenFile,
  temporary: string,
  onPiece: (read: number, put: number) => void,
): Promise<PublishedFile> {
  const [zeros, buffer] = [Buffer.alloc(PIECE_SIZE), Buffer.alloc(PIECE_SIZE)];
  const whole = createHash("sha256");
  const pieces: string[] = [];
  const putPiece = async (hash: string, piece: Buffer) => {
    const key = getContentKey(hash);
    const isThere = (await store.findSize(key)) === piece.length;
    if (isThere && (kept.has(hash) || (await store.listOlder(key, CONTENT_FRESH_MS)).length === 0)) return false;
    writeFileSync(temporary, piece);
    await store.put(key, temporary);
    return !isThere;
  };
  const file = await open(path, "r");
  try {
    for (let at = 0; at < size; at += PIECE_SIZE) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(PIECE_SIZE, size - at), at);
      const piece = buffer.subarray(0, bytesRead);
      whole.update(piece);
      const isZero = piece.equals(zeros.subarray(0, bytesRead));
      const hash = isZero ? "" : createHash("sha256").update(piece).digest("hex");
      pieces.push(hash);
      const isNew = !isZero && (await putPiece(hash, piece));
      onPiece(bytesRead, isNew ? bytesRead : 0);
    }
  } finally {
    await file.close();
  }
  if (whole.digest("hex") !== sha256) throw new GoldenStateError(`the content of ${path} has changed since it was frozen; make the state anew`); // prettier-ignore
  return { path: name, size, sha256, pieces };
}
