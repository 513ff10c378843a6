import { lstatSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { hashFile, listFiles } from "../../config/host-files";
import { type ArtefactStore, getAttemptPrefix, getContentKey, getResultKey } from "../../lab/cluster/artefact-store";
import type { StoredFile } from "../../lab/cluster/analysis-queue";
import { CONTENT_KEPT_MS } from "../../lab/keeping/choose-old";
import { StoredFileError } from "../../lab/errors";

/** Files that travel at once. */
const AT_ONCE = 8;
/** Half of the time that contents are kept which nothing needs, in milliseconds. */
export const CONTENT_FRESH_MS = CONTENT_KEPT_MS / 2;
/** The most files of a result: more is no result. */
const MOST_FILES = 100_000;
/** Of a part of a result's name, and of the whole, in bytes: what Linux and the S3 API permit. */
const LONGEST_PART = 255;
const LONGEST_NAME = 900;

/**
 * Puts a file into the store under its content, unless it is there, and stays there: one that was put long ago may be removed at this moment,
 * as nothing needs it yet.
 *
 * @param path absolute
 */
export async function putContent(store: ArtefactStore, path: string): Promise<StoredFile> {
  const file = { name: basename(path), size: lstatSync(path).size, sha256: await hashFile(path) };
  const key = getContentKey(file.sha256);
  const isThere = (await store.findSize(key)) === file.size;
  if (!isThere || (await store.listOlder(key, CONTENT_FRESH_MS)).length > 0) await store.put(key, path);
  return file;
}

/**
 * Puts the results of an attempt into the store.
 *
 * @param folder of the analysis, absolute
 * @throws StoredFileError when they are no results that anybody could collect
 */
export async function putResults(
  store: ArtefactStore,
  folder: string,
  id: string,
  attempt: number,
): Promise<StoredFile[]> {
  const names = listFiles(folder);
  checkNames(id, names);
  return eachAtOnce(names, async (name) => {
    const path = join(folder, name);
    const file = { name, size: lstatSync(path).size, sha256: await hashFile(path) };
    await store.put(getResultKey(id, attempt, name), path);
    return file;
  });
}

/**
 * Fetches the results of an attempt: the folder is there as a whole, with every file as it was put there, or as it was before.
 *
 * @throws MissingFileError for a file that is not there; StoredFileError for one that is another, or whose name is none of a result
 */
export async function getResults(
  store: ArtefactStore,
  folder: string,
  { id, attempt, files }: { readonly id: string; readonly attempt: number; readonly files: readonly StoredFile[] },
): Promise<void> {
  checkNames(id, files.map(({ name }) => name)); // prettier-ignore
  const making = join(dirname(folder), `.${basename(folder)}.part`);
  rmSync(making, { recursive: true, force: true });
  try {
    mkdirSync(making, { recursive: true });
    await eachAtOnce(files, async (file) => {
      const path = join(making, file.name);
      mkdirSync(dirname(path), { recursive: true });
      await store.get(getResultKey(id, attempt, file.name), path, file);
    });
    rmSync(folder, { recursive: true, force: true });
    renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** @throws StoredFileError for names of results that no folder can have together, or that lead out of it */
function checkNames(id: string, names: readonly string[]): void {
  if (names.length > MOST_FILES) throw new StoredFileError(`analysis ${id} has ${names.length} files; ${MOST_FILES} are the most`); // prettier-ignore
  const known = new Set(names);
  const isBad = (name: string) => {
    const parts = name.split("/");
    return (
      Buffer.byteLength(name) > LONGEST_NAME ||
      parts.some(
        (part) => part === "" || part.startsWith(".") || part.includes("\0") || Buffer.byteLength(part) > LONGEST_PART,
      ) || // prettier-ignore
      parts.some((_part, at) => at > 0 && known.has(parts.slice(0, at).join("/")))
    );
  };
  const seen = new Set<string>();
  const isTwice = (name: string) => seen.size === seen.add(name).size;
  const bad = names.find((name) => isTwice(name) || isBad(name));
  if (bad !== undefined) throw new StoredFileError(`a result of analysis ${id} has the name ${JSON.stringify(bad.slice(0, LONGEST_PART))}, which is none of a result`); // prettier-ignore
}

/** Removes the results of an attempt; of all attempts but one, where that is said. */
export async function removeResults(
  store: ArtefactStore,
  id: string,
  { attempt, but }: { readonly attempt?: number; readonly but?: number },
): Promise<void> {
  const keys = await store.list(getAttemptPrefix(id, attempt));
  await store.remove(but === undefined ? keys : keys.filter((key) => !key.startsWith(getAttemptPrefix(id, but))));
}

/** Does something with each of many, several at once; once one fails, no further begins, and none goes on when it has returned. */
async function eachAtOnce<Item, Result>(
  items: readonly Item[],
  act: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const work = async () => {
    while (next < items.length) {
      const at = next++;
      try {
        results[at] = await act(items[at]!);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, work));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return results;
}
