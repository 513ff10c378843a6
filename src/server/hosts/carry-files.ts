import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join, posix, relative } from "node:path";
import { type ArtefactStore, getAttemptPrefix, getContentKey, getResultKey } from "../../lab/cluster/artefact-store";
import type { StoredFile } from "../../lab/cluster/analysis-queue";
import { CONTENT_KEPT_MS } from "../../lab/keeping/choose-old";
import { ClusterError } from "../../lab/errors";
import { hashFile } from "../../lab/machinery/golden/golden-state";

/** Files that travel at once. */
const AT_ONCE = 8;
/** Half of the time that contents are kept which nothing needs, in milliseconds. */
const CONTENT_FRESH_MS = CONTENT_KEPT_MS / 2;
/** The most files of a result: more is no result. */
const MOST_FILES = 100_000;

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

/** Puts the results of an attempt into the store. @param folder of the analysis, absolute */
export async function putResults(
  store: ArtefactStore,
  folder: string,
  id: string,
  attempt: number,
): Promise<StoredFile[]> {
  const paths = listFiles(folder);
  return eachAtOnce(paths, async (path) => {
    const name = relative(folder, path);
    const file = { name, size: lstatSync(path).size, sha256: await hashFile(path) };
    await store.put(getResultKey(id, attempt, name), path);
    return file;
  });
}

/**
 * Fetches the results of an attempt: the folder is there as a whole, with every file as it was put there, or as it was before.
 *
 * @throws ClusterError for a file that is missing or another, or whose name leads out
 */
export async function getResults(
  store: ArtefactStore,
  folder: string,
  { id, attempt, files }: { readonly id: string; readonly attempt: number; readonly files: readonly StoredFile[] },
): Promise<void> {
  // prettier-ignore
  const making = join(dirname(folder), `.${basename(folder)}.part`);
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { recursive: true });
  if (files.length > MOST_FILES) throw new ClusterError(`analysis ${id} has ${files.length} files; ${MOST_FILES} are the most`); // prettier-ignore
  await eachAtOnce(files, async (file) => {
    const { name } = file;
    if (
      posix.isAbsolute(name) ||
      posix.normalize(name) !== name ||
      name.split("/").some((part) => part.startsWith("."))
    )
      throw new ClusterError(
        `a result of analysis ${id} has the name ${JSON.stringify(name)}, which is none of a result`,
      );
    const path = join(making, name);
    mkdirSync(dirname(path), { recursive: true });
    await store.get(getResultKey(id, attempt, name), path, file);
  });
  rmSync(folder, { recursive: true, force: true });
  renameSync(making, folder);
}

/** Removes the results of an attempt; of all attempts but one, where that is said. */
export async function removeResults(
  store: ArtefactStore,
  id: string,
  { attempt, but }: { readonly attempt?: number; readonly but?: number },
): Promise<void> {
  // prettier-ignore
  const keys = await store.list(getAttemptPrefix(id, attempt));
  await store.remove(but === undefined ? keys : keys.filter((key) => !key.startsWith(getAttemptPrefix(id, but))));
}

/** Lists the results in the folder of an analysis: what begins with a dot is not one, nor is a link. */
function listFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith("."))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? listFiles(path) : entry.isFile() ? [path] : [];
    });
}

async function eachAtOnce<Item, Result>(
  items: readonly Item[],
  act: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const work = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await act(items[at]!);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}
