import { createHash } from "node:crypto";
import { type FSWatcher, readFileSync, statSync, watch } from "node:fs";
import { dirname } from "node:path";

/** Editors write a file in several steps, and a version control system many files. */
const QUIET_MS = 50;

/** Notices when the contents of files change, in each of the ways in which editors write: in place, or a new file renamed. */
export class ScriptWatcher {
  private readonly folders = new Map<string, FSWatcher>();
  private hashes = new Map<string, string>();
  private timer: NodeJS.Timeout | undefined;

  /** @param onChange called with the absolute paths of the files that have changed, once it has been quiet for a moment */
  constructor(private readonly onChange: (files: string[]) => void) {}

  /**
   * Sets the files to watch. Those that were watched before and still are keep their state.
   *
   * @param files absolute paths; a file that does not exist is watched for too
   */
  setFiles(files: readonly string[]): void {
    const hashes = new Map<string, string>();
    for (const file of files) hashes.set(file, this.hashes.get(file) ?? hash(file));
    this.hashes = hashes;
    const wanted = new Set(files.map((file) => dirname(file)));
    for (const [folder, watcher] of this.folders) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.folders.delete(folder);
    }
    // The folder, since a rename puts another file in the place of the one that would be watched.
    for (const folder of wanted) this.watchFolder(folder);
  }

  /** Ends the watching. */
  close(): void {
    clearTimeout(this.timer);
    for (const watcher of this.folders.values()) watcher.close();
    this.folders.clear();
  }

  private watchFolder(folder: string): void {
    if (this.folders.has(folder)) return;
    try {
      const watcher = watch(folder, () => this.wait());
      watcher.on("error", () => this.folders.delete(folder));
      this.folders.set(folder, watcher);
    } catch {
      // The folder is gone; it is tried again with the next setFiles().
    }
  }

  private wait(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.compare(), QUIET_MS);
  }

  private compare(): void {
    const changed: string[] = [];
    for (const [file, before] of this.hashes) {
      const now = hash(file);
      // Between a removal and the rename there may be no file: that is no version to load.
      if (now === before || now === "") continue;
      this.hashes.set(file, now);
      changed.push(file);
    }
    if (changed.length > 0) this.onChange(changed);
  }
}

/**
 * Reports whether a file was saved since a moment, in place or by a rename.
 *
 * @param momentMs in ms since 1970
 */
export function isSavedSince(file: string, momentMs: number): boolean {
  // The time of change is the kernel's own: a renamed file may have any time of modification.
  return (statSync(file, { throwIfNoEntry: false })?.ctimeMs ?? 0) > momentMs;
}

function hash(file: string): string {
  try {
    return createHash("sha256").update(readFileSync(file)).digest("hex");
  } catch {
    return "";
  }
}
