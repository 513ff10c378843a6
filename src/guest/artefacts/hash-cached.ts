import { createHash } from "node:crypto";
import type { ByteBudget } from "./byte-budget";

/** So much is read and hashed at a time, in bytes. */
const PIECE = 64 << 10;

/**
 * Hashes a file out of memory, piece by piece. What was read goes out of a budget, and no more: a file whose first piece is not in
 * memory costs next to nothing, however large it is.
 *
 * @param size in bytes
 * @param overlay lays over a piece at a place what memory has of it; returns how many bytes
 * @param areHolesZeros what memory does not have is zeros
 * @returns "refused" when the budget is too small for the whole file: then nothing was read
 */
export function hashCached(
  size: number,
  overlay: (at: number, piece: Uint8Array) => number,
  areHolesZeros: boolean,
  budget: ByteBudget,
): { readonly sha256: string } | "refused" | "not cached" {
  if (!budget.has(size)) return "refused";
  const hash = createHash("sha256");
  const piece = Buffer.alloc(Math.min(PIECE, size));
  for (let at = 0; at < size; at += PIECE) {
    const part = piece.subarray(0, Math.min(PIECE, size - at)).fill(0);
    const known = overlay(at, part);
    const isWhole = known === part.length || areHolesZeros;
    budget.take(isWhole ? part.length : known);
    if (!isWhole) return "not cached";
    hash.update(part);
  }
  return { sha256: hash.digest("hex") };
}
