import { lstatSync, mkdirSync, realpathSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";

/** Decides which paths a script may use: those that lie, links resolved, in one of its folders. */
export class FileAccess {
  /**
   * @param script the script's name
   * @param folders absolute; created when they are missing
   */
  constructor(
    private readonly script: string,
    private readonly folders: readonly string[],
  ) {}

  /**
   * Returns the real path that a path stands for.
   *
   * @param path absolute or relative to the current folder; it need not exist
   * @throws Error when it is not in one of the folders
   */
  getPath(path: string): string {
    const real = resolveLinks(resolve(path));
    if (real !== undefined && this.getFolders().some((folder) => isWithin(folder, real))) return real;
    const others = this.folders.length === 0 ? "" : `fs:${this.folders.join(", fs:")}, `;
    const permit = `to permit it: [PERMISSIONS] ${this.script}: ${others}fs:FOLDER in pyrebox.conf, and reload it`;
    if (this.folders.length === 0) throw new Error(`${this.script} may not use ${path}; ${permit}`);
    const where = this.folders.join(", ");
    throw new Error(`${this.script} may not use ${path}: it may use what is in ${where}, links resolved; ${permit}`);
  }

  private getFolders(): string[] {
    return this.folders.map((folder) => {
      mkdirSync(folder, { recursive: true });
      return realpathSync(folder);
    });
  }
}

/** Undefined when a link on the way leads nowhere: what it would create cannot be told. */
function resolveLinks(path: string): string | undefined {
  const missing: string[] = [];
  let existing = path;
  while (lstatSync(existing, { throwIfNoEntry: false }) === undefined) {
    missing.unshift(basename(existing));
    existing = dirname(existing);
  }
  try {
    return join(realpathSync(existing), ...missing);
  } catch {
    return undefined;
  }
}

function isWithin(folder: string, path: string): boolean {
  const below = relative(folder, path);
  return below !== ".." && !below.startsWith(`..${sep}`);
}
