import { statSync } from "node:fs";

/** Between two looks at a folder, in milliseconds. */
const LOOK_MS = 100;

/** A folder that may go while this process works in it: nobody would find what is written at its path then. */
export class KnownFolder {
  readonly #number: bigint | undefined;

  constructor(private readonly path: string) {
    this.#number = findNumber(path);
  }

  /** Whether the folder is gone, or another one has its path. */
  get isGone(): boolean {
    return this.#number === undefined || findNumber(this.path) !== this.#number;
  }

  /** Calls a function once when the folder is gone, now or later. */
  onGone(act: () => void): void {
    if (this.isGone) return act();
    const timer = setInterval(() => {
      if (!this.isGone) return;
      clearInterval(timer);
      act();
    }, LOOK_MS);
  }
}

/** Finds the number of a folder's inode. */
function findNumber(folder: string): bigint | undefined {
  return statSync(folder, { bigint: true, throwIfNoEntry: false })?.ino;
}
