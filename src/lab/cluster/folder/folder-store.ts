import { constants, copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { ClusterError } from "../../errors";
import { hashFile } from "../../machinery/golden/golden-state";
import type { ArtefactStore } from "../artefact-store";

/** Files in a folder of this host. */
export class FolderStore implements ArtefactStore {
  #making = 0;

  /** @param folder absolute */
  constructor(private readonly folder: string) {}

  async put(key: string, file: string): Promise<void> {
    const path = this.#find(key);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // A dot is in front of no name of an object: what is being written is not there yet.
    const making = join(dirname(path), `.${process.pid}-${++this.#making}`);
    try {
      copyFileSync(file, making, constants.COPYFILE_FICLONE);
      renameSync(making, path);
    } finally {
      rmSync(making, { force: true });
    }
  }

  async get(key: string, file: string, expected: { readonly size: number; readonly sha256: string }): Promise<void> {
    const path = this.#find(key);
    if (!existsSync(path)) throw new ClusterError(`${this.folder} has no ${key}`);
    if (statSync(path).size > expected.size) throw new ClusterError(`${key} is larger than ${expected.size} bytes`);
    copyFileSync(path, file, constants.COPYFILE_FICLONE);
    if (statSync(file).size === expected.size && (await hashFile(file)) === expected.sha256) return;
    rmSync(file, { force: true });
    throw new ClusterError(`the content of ${key} in ${this.folder} is not what was put there`);
  }

  async findSize(key: string): Promise<number | undefined> {
    const found = statSync(this.#find(key), { throwIfNoEntry: false });
    return found?.isFile() === true ? found.size : undefined;
  }

  async list(prefix: string): Promise<string[]> {
    const top = this.#find(prefix.slice(0, prefix.lastIndexOf("/") + 1));
    if (!existsSync(top)) return [];
    return readdirSync(top, { recursive: true, withFileTypes: true, encoding: "utf8" })
      .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
      .map(({ parentPath, name }) => relative(this.folder, join(parentPath, name)))
      .filter((key) => key.startsWith(prefix));
  }

  async listOlder(prefix: string, ageMs: number): Promise<string[]> {
    const beforeMs = Date.now() - ageMs;
    return (await this.list(prefix)).filter((key) => (statSync(this.#find(key), { throwIfNoEntry: false })?.mtimeMs ?? Infinity) < beforeMs); // prettier-ignore
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const path = this.#find(key);
      rmSync(path, { force: true });
      // Folders that are empty now are no objects.
      for (let above = dirname(path); above !== this.folder && isEmpty(above); above = dirname(above)) rmSync(above, { recursive: true, force: true }); // prettier-ignore
    }
  }

  /** @throws ClusterError for a name that leads out */
  #find(key: string): string {
    if (key.split("/").some((part) => part.startsWith("."))) throw new ClusterError(`${JSON.stringify(key)} is no name in ${this.folder}`); // prettier-ignore
    return join(this.folder, key);
  }
}

function isEmpty(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length === 0;
}
