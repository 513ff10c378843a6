import { randomUUID } from "node:crypto";
import { constants, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { hashFile } from "../../../config/host-files";
import { ClusterError, MissingFileError, StoredFileError } from "../../errors";
import type { ArtefactStore } from "../artefact-store";

/** So often a file is put where another process removes the empty folders at this moment. */
const MOST_TRIES = 5;

/** Files in a folder of this host. */
export class FolderStore implements ArtefactStore {
  /** @param folder absolute */
  constructor(private readonly folder: string) {}

  async put(key: string, file: string): Promise<void> {
    const path = this.#find(key);
    // A dot is in front of no name of an object: what is being written is not there yet.
    const making = join(dirname(path), `.${randomUUID()}`);
    try {
      await this.#copyNew(file, making);
      renameSync(making, path);
    } finally {
      rmSync(making, { force: true });
    }
  }

  async get(key: string, file: string, expected: { readonly size: number; readonly sha256: string }): Promise<void> {
    const path = this.#find(key);
    const size = await this.findSize(key);
    if (size === undefined) throw new MissingFileError(`${this.folder} has no ${key}`);
    if (size > expected.size) throw new StoredFileError(`${key} is larger than ${expected.size} bytes`);
    try {
      await copyFile(path, file, constants.COPYFILE_FICLONE);
    } catch (error) {
      throw existsSync(path) ? error : new MissingFileError(`${this.folder} has no ${key} any more`);
    }
    if (statSync(file).size === expected.size && (await hashFile(file)) === expected.sha256) return;
    rmSync(file, { force: true });
    throw new StoredFileError(`the content of ${key} in ${this.folder} is not what was put there`);
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
      for (let above = dirname(path); above !== this.folder && removeEmpty(above);) above = dirname(above);
    }
  }

  /** Copies a file into a folder, which another process may take for an empty one. Large files keep nobody waiting. */
  async #copyNew(file: string, to: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
      try {
        return await copyFile(file, to, constants.COPYFILE_FICLONE);
      } catch (error) {
        if (tries === MOST_TRIES || existsSync(dirname(to)) || !existsSync(file)) throw error;
      }
    }
  }

  /** @throws ClusterError for a name that leads out */
  #find(key: string): string {
    if (key.split("/").some((part) => part.startsWith("."))) throw new ClusterError(`${JSON.stringify(key)} is no name in ${this.folder}`); // prettier-ignore
    return join(this.folder, key);
  }
}

/** Removes a folder that is empty, and no other: another process may put something there at this moment. @returns whether it is gone */
function removeEmpty(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}
