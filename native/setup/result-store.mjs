import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { places } from "./places.mjs";

const KEPT_RESULTS = 12;
// A tree with its objects is about 700 MB; the second one serves going back and forth between two states of a patch.
const KEPT_TREES = 2;

/** Finished builds in the cache, each in a directory named after the hash of its inputs. */
export class ResultStore {
  /**
   * @param {string} kind the directory in the cache: qemu, qemu-asan or plain
   * @param {string} link what points at the result in use, in the checkout's build directory
   * @param {{build: string, cache: string}} folders of the build, and of the cache
   */
  constructor(kind, link, { build, cache } = places) {
    this.directory = join(cache, kind);
    this.link = join(build, link);
  }

  /** Tells whether the checkout's link points at the result of that hash, and it is there. */
  isLinked(hash) {
    try {
      return readlinkSync(this.link) === this.#path(hash) && existsSync(join(this.link, "info.json"));
    } catch {
      return false;
    }
  }

  /** Tells whether the cache has a result. */
  has(hash) {
    return existsSync(join(this.#path(hash), "info.json"));
  }

  /** Adds a result of files and folders all at once, so that nobody sees half of it. */
  add(hash, files, info) {
    const temporary = join(this.directory, `.new-${process.pid}`);
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    for (const file of files) cpSync(file, join(temporary, basename(file)), { recursive: true });
    writeFileSync(join(temporary, "info.json"), `${JSON.stringify(info, null, 2)}\n`);
    rmSync(this.#path(hash), { recursive: true, force: true });
    renameSync(temporary, this.#path(hash));
  }

  /** Points the checkout's link at a result, and drops the results unused for longest. */
  use(hash) {
    mkdirSync(dirname(this.link), { recursive: true });
    const temporary = `${this.link}.${process.pid}`;
    rmSync(temporary, { force: true });
    symlinkSync(this.#path(hash), temporary);
    renameSync(temporary, this.link);
    touch(this.#path(hash));
    prune(this.directory, KEPT_RESULTS);
  }

  #path(hash) {
    return join(this.directory, hash);
  }
}

/** Returns the directory for a source tree and its build, and drops this kind's trees that were unused for longest. */
export function workTree(kind, hash) {
  const path = join(places.cachedWork, `${kind}-${hash}`);
  mkdirSync(path, { recursive: true });
  touch(path);
  // Other kinds may be in use by another set-up; this kind is not, because its step's lock is ours.
  prune(places.cachedWork, KEPT_TREES, (name) => name.startsWith(`${kind}-`) && name.length === basename(path).length);
  return path;
}

function touch(path) {
  const now = new Date();
  utimesSync(path, now, now);
}

function prune(directory, kept, isCandidate = (name) => !name.startsWith(".")) {
  const newestFirst = readdirSync(directory)
    .filter(isCandidate)
    .map((name) => join(directory, name))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const path of newestFirst.slice(kept)) rmSync(path, { recursive: true, force: true });
}
