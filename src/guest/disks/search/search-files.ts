import { createHash, type Hash } from "node:crypto";
import { AddressError, KernelDataError } from "../../../systems/errors";
import { DiskError } from "../../errors";
import type { GuestPlace } from "../guest-files";
import { Turn } from "../turn";
import { type FileCheck, isWanted } from "./file-check";
import { type FileHit, FileHits } from "./file-hits";
import type { FileSearch } from "./file-search";
import { LineMatcher } from "./line-matcher";
import { readContent, type SearchableFiles } from "./read-content";

/** Deeper trees lead around in circles. */
const DEEPEST = 4096;

export type { FileHit };

/** The findings of searches. */
export interface FileFindings {
  /** By path, or of a search for the newest from the newest on. */
  readonly hits: ReadonlyMap<FileSearch, readonly FileHit[]>;
  /** The number of files that were looked at. */
  readonly filesCount: number;
  /** The number of files that could not be read. */
  readonly openFailed: number;
  readonly errors: readonly string[];
}

/**
 * Looks for files: the tree is walked once for all searches, and a file is read once for all that want its content.
 *
 * @param signal ends it
 * @throws the signal's reason
 */
export async function searchFiles(
  files: SearchableFiles,
  searches: readonly FileSearch[],
  signal?: AbortSignal,
): Promise<FileFindings> {
  const walk = new Walk(files, searches, signal);
  // All places first: a root that lies below another one is reached from there.
  const roots = [...new Set(searches.flatMap((search) => search.roots))].sort();
  const places: GuestPlace[] = [];
  for (const root of roots) places.push(...(await walk.locate(root)));
  for (const place of places) await walk.enter(place);
  const hits = new Map<FileSearch, readonly FileHit[]>();
  for (const search of searches) hits.set(search, await walk.listHits(search));
  return { hits, filesCount: walk.filesCount, openFailed: walk.openFailed, errors: walk.errors };
}

class Walk {
  readonly errors: string[] = [];
  filesCount = 0;
  openFailed = 0;
  /** Directories and named files, by their path. */
  readonly #visited = new Set<string>();
  readonly #identities = new Set<string>();
  readonly #turn = new Turn();
  readonly #hits: ReadonlyMap<FileSearch, FileHits>;

  constructor(
    private readonly files: SearchableFiles,
    private readonly searches: readonly FileSearch[],
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#hits = new Map(searches.map((search) => [search, new FileHits(search.newest)]));
  }

  /** Lists the files that a search has found, with the hashes that it wants. */
  async listHits(search: FileSearch): Promise<FileHit[]> {
    const hits = this.#hits.get(search)?.list() ?? [];
    // Which are the newest is known only now.
    if (search.newest === 0 || !search.wantsSha256) return hits;
    const hashed: FileHit[] = [];
    for (const hit of hits) hashed.push({ ...hit, sha256: await this.#hash(hit.place, search, undefined) });
    return hashed;
  }

  /** Finds a root; what it is called from then on has no links on the way. */
  async locate(root: string): Promise<GuestPlace[]> {
    const found: GuestPlace[] = [];
    await this.#attempt(root, async () => {
      const place = await this.files.find(root, false);
      if (!place) {
        this.openFailed++;
        this.errors.push(`ERROR: open ${root}: no such file or directory`);
        return;
      }
      for (const search of this.searches) search.locate(root, place.path);
      found.push(place);
    });
    return found;
  }

  async enter(place: GuestPlace): Promise<void> {
    await this.#attempt(place.path, async () => {
      if (place.kind === "directory") await this.#walkDirectories(place);
      else if (!this.#visited.has(place.path)) await this.#enterFile(place);
    });
  }

  /** A root that is no directory. */
  async #enterFile(place: GuestPlace): Promise<void> {
    const interested = this.searches.filter((search) => search.names(place.path));
    this.#visited.add(place.path);
    if (place.kind !== "link") return this.#evaluate(place, interested);
    const target = await this.files.follow(place);
    if (!target && (await this.files.leadsIntoKernel(place))) {
      this.errors.push(
        `warning: ${place.path} is a link to what the guest's kernel makes when it is read: it has no content`,
      );
    } else if (!target) {
      this.openFailed++;
      this.errors.push(`ERROR: open ${place.path}: the link leads to nothing`);
    } else if (target.kind === "file") {
      await this.#evaluate(target, interested);
    } else {
      this.errors.push(`warning: ${place.path} is a link to ${target.path} and was not followed`);
    }
  }

  /** Without recursion: the guest decides how deep its directories are. */
  async #walkDirectories(root: GuestPlace): Promise<void> {
    const waiting: GuestPlace[] = [root];
    for (let directory = waiting.pop(); directory; directory = waiting.pop()) {
      const { path } = directory;
      const interested = this.searches.filter((search) => search.covers(path));
      if (interested.length === 0 || this.#visited.has(path)) continue;
      if (path.split("/").length > DEEPEST) {
        this.errors.push(`ERROR: ${path.slice(0, 200)}...: deeper than ${DEEPEST} directories`);
        continue;
      }
      this.#visited.add(path);
      // On a sound file system a directory has one name.
      if (this.#identities.has(directory.identity)) {
        this.errors.push(`ERROR: ${path}: the file system leads around in circles`);
        continue;
      }
      this.#identities.add(directory.identity);
      const here = directory;
      await this.#attempt(path, async () => waiting.push(...(await this.#enterDirectory(here, interested)).reverse()));
    }
  }

  /** @returns the directories in it */
  async #enterDirectory(directory: GuestPlace, searches: readonly FileSearch[]): Promise<GuestPlace[]> {
    const { places, problems } = await this.files.list(directory);
    for (const problem of problems) {
      this.openFailed++;
      this.errors.push(`ERROR: ${problem}`);
    }
    const inner: GuestPlace[] = [];
    // In which order a directory is read depends on where it is: on a disk, or in the kernel's memory.
    for (const place of [...places].sort(({ path: one }, { path: other }) => (one < other ? -1 : 1))) {
      await this.#turn.pass(this.signal);
      if (place.kind === "directory") {
        inner.push(place);
        continue;
      }
      const named = this.searches.filter((search) => search.names(place.path));
      const interested = [...new Set([...searches.filter((search) => !search.isFull), ...named])];
      if (interested.length === 0 || this.#visited.has(place.path)) continue;
      if (named.length > 0) this.#visited.add(place.path);
      await this.#attempt(place.path, async () => {
        if (place.kind === "file") await this.#evaluate(place, interested);
        else if (place.kind === "link") await this.#evaluateLink(place, interested);
      });
    }
    return inner;
  }

  /** Reports the file that a link leads to by the link's path. */
  async #evaluateLink(link: GuestPlace, searches: readonly FileSearch[]): Promise<void> {
    const target = await this.files.follow(link);
    if (!target) {
      // /etc/mtab is such a link on every system.
      if (await this.files.leadsIntoKernel(link)) return;
      this.openFailed++;
      this.errors.push(`ERROR: ${link.path}: the link leads to nothing`);
    } else if (target.kind === "file") {
      await this.#evaluate(target, searches, link.path);
    }
  }

  async #evaluate(file: GuestPlace, searches: readonly FileSearch[], path = file.path): Promise<void> {
    this.filesCount++;
    const place = path === file.path ? file : { ...file, path };
    const states = searches.map((search) => new FileState(search, place));
    const open = states.filter(({ needsContent }) => needsContent);
    for (const unpacks of [false, true]) {
      const readers = open.filter(({ search }) => search.unpacks === unpacks);
      if (readers.length > 0) await this.#readFor(readers, place, unpacks);
    }
    for (const state of states) await this.#store(state, place);
  }

  async #readFor(states: readonly FileState[], place: GuestPlace, unpacks: boolean): Promise<void> {
    const hashes = new Map<string, Hash>();
    for (const { algorithms } of states) for (const name of algorithms) hashes.set(name, createHash(name));
    const matchers = states.flatMap(({ matcher }) => matcher ?? []);
    try {
      for await (const piece of readContent(this.files, place, unpacks, this.signal)) {
        for (const hash of hashes.values()) hash.update(piece);
        for (const matcher of matchers) if (!matcher.isDecided) matcher.push(piece);
        if (hashes.size === 0 && matchers.every(({ isDecided }) => isDecided)) break;
      }
    } catch (error) {
      this.#fail(place.path, error);
      for (const state of states) state.isUnreadable = true;
      return;
    }
    for (const matcher of matchers) if (!matcher.isDecided) matcher.end();
    const digests = new Map([...hashes].map(([name, hash]) => [name, hash.digest("hex")]));
    for (const state of states) state.digests = digests;
  }

  async #store(state: FileState, place: GuestPlace): Promise<void> {
    const { search } = state;
    const fitting = search.checks.filter((check) => state.fits(check));
    for (const check of search.checks) if (state.knows(check)) search.noteAnswer(check, fitting.includes(check));
    // The newest files of all need no check.
    const isAll = (search.checks.length > 0 || search.newest > 0) && fitting.length === search.checks.length;
    const found = search.isMatchAll ? (isAll ? [undefined] : []) : fitting;
    if (found.length === 0 || search.isFull) return;
    const isHashed = search.wantsSha256 && search.newest === 0;
    const sha256 = isHashed ? await this.#hash(place, search, state.digests) : undefined;
    for (const check of found) {
      if (search.takeHit()) this.#hits.get(search)?.add({ place, check, sha256 });
    }
  }

  async #hash(
    place: GuestPlace,
    search: FileSearch,
    digests: ReadonlyMap<string, string> | undefined,
  ): Promise<string | undefined> {
    const known = digests?.get("sha256");
    if (known !== undefined) return known;
    const hash = createHash("sha256");
    try {
      for await (const piece of readContent(this.files, place, search.unpacks, this.signal)) hash.update(piece);
      return hash.digest("hex");
    } catch (error) {
      this.#fail(place.path, error);
      return undefined;
    }
  }

  async #attempt(path: string, act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#fail(path, error);
    }
  }

  /** Reports failures that the guest's data causes; any other is a mistake of rebox, or the end of the search. */
  #fail(path: string, error: unknown): void {
    this.signal?.throwIfAborted();
    const isGuests = error instanceof DiskError || error instanceof KernelDataError || error instanceof AddressError;
    if (!isGuests) throw error;
    this.openFailed++;
    this.errors.push(`ERROR: ${path}: ${error.message}`);
  }
}

/** The facts of a file that one search has asked for so far. */
class FileState {
  readonly matcher: LineMatcher | undefined;
  readonly algorithms: readonly string[];
  readonly needsContent: boolean;
  digests: ReadonlyMap<string, string> | undefined;
  isUnreadable = false;
  readonly #known: ReadonlyMap<FileCheck, boolean>;

  constructor(
    readonly search: FileSearch,
    place: GuestPlace,
  ) {
    const { checks } = search;
    this.#known = new Map(checks.flatMap((check) => (check.fits ? [[check, isWanted(check, check.fits(place))]] : [])));
    // When all have to fit, one that does not spares reading the file.
    const isLost = search.isMatchAll && [...this.#known.values()].includes(false);
    const contents = isLost ? [] : checks.filter(({ kind }) => kind === "content");
    this.matcher = contents.length > 0 ? new LineMatcher(contents, search.query.options?.macroal ?? false) : undefined;
    this.algorithms = isLost ? [] : checks.flatMap(({ algorithm }) => algorithm ?? []);
    this.needsContent = this.matcher !== undefined || this.algorithms.length > 0;
  }

  /** Reports whether the check was asked of this file: a file that is lost by its name is not read. */
  knows(check: FileCheck): boolean {
    if (this.#known.has(check)) return true;
    return !this.isUnreadable && (this.matcher?.matches.has(check) ?? this.digests !== undefined);
  }

  fits(check: FileCheck): boolean {
    const known = this.#known.get(check);
    if (known !== undefined) return known;
    // Of what cannot be read nothing is claimed, not even that it is different.
    if (this.isUnreadable) return false;
    if (check.algorithm !== undefined) {
      const digest = this.digests?.get(check.algorithm);
      return digest !== undefined && isWanted(check, digest === check.value.toLowerCase());
    }
    const match = this.matcher?.matches.get(check);
    return match !== undefined && isWanted(check, match);
  }
}
