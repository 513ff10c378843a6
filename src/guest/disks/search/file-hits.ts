import type { GuestPlace } from "../guest-files";
import type { FileCheck } from "./file-check";

/** So many hits more than are wanted are kept before the oldest are let go. */
const MOST_WAITING = 4096;

/** A file that a search has found. */
export interface FileHit {
  readonly place: GuestPlace;
  /** The check that it fits, when not all have to; undefined otherwise. */
  readonly check: FileCheck | undefined;
  /** In hexadecimal; undefined when it is not wanted. */
  readonly sha256: string | undefined;
}

/**
 * The files that one search has found. Their order does not depend on where the tree was read: by path, or, when only the newest
 * are wanted, from the newest on.
 */
export class FileHits {
  readonly #newest: number;
  #hits: FileHit[] = [];

  /** @param newest how many of each check's files are wanted, the newest of them; 0 for all */
  constructor(newest: number) {
    this.#newest = newest;
  }

  add(hit: FileHit): void {
    this.#hits.push(hit);
    if (this.#newest > 0 && this.#hits.length > 2 * this.#newest + MOST_WAITING) this.#hits = this.list();
  }

  list(): FileHit[] {
    if (this.#newest === 0) return this.#hits.sort(byPath);
    const counts = new Map<FileCheck | undefined, number>();
    return this.#hits.sort(byAge).filter(({ check }) => {
      const count = (counts.get(check) ?? 0) + 1;
      counts.set(check, count);
      return count <= this.#newest;
    });
  }
}

function byPath({ place: { path: one } }: FileHit, { place: { path: other } }: FileHit): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function byAge(one: FileHit, other: FileHit): number {
  const [a, b] = [one.place.facts.modifiedNs, other.place.facts.modifiedNs];
  return a > b ? -1 : a < b ? 1 : byPath(one, other);
}
