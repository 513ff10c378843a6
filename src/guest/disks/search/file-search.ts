import { CHECK_KINDS, type CheckKind, type FileCheck, makeCheck } from "./file-check";

const DEFAULT_DEPTH = 1000;
const DEFAULT_LIMIT = 1000;

/** The properties of the files that are looked for, and the places to look. */
export interface FileSearchQuery {
  /** Absolute. */
  readonly paths: readonly string[];
  readonly contents?: readonly string[];
  readonly names?: readonly string[];
  readonly sizes?: readonly string[];
  readonly modes?: readonly string[];
  readonly mtimes?: readonly string[];
  readonly md5?: readonly string[];
  readonly sha1?: readonly string[];
  readonly sha2?: readonly string[];
  readonly sha3?: readonly string[];
  readonly options?: {
    /** The depth in directories; 0 for the default, 1000. */
    readonly maxdepth?: number;
    /** The most hits that are reported; 0 for all, 1000 by default. */
    readonly matchlimit?: number;
    /** Only so many files are reported, the newest of them, in place of the first `matchlimit`; 0 for no such limit. */
    readonly newest?: number | undefined;
    /** All checks have to fit the same file; otherwise each is looked for apart. */
    readonly matchall?: boolean;
    /** Contents have to fit all lines. */
    readonly macroal?: boolean;
    /** Kinds of checks that are turned around. */
    readonly mismatch?: readonly string[];
    readonly returnsha256?: boolean;
    /** Contents and hashes are those of what a gzip file holds. */
    readonly decompress?: boolean;
  };
}

const PARAMETERS: Readonly<Record<CheckKind, keyof FileSearchQuery>> = {
  ...{ name: "names", size: "sizes", mode: "modes", mtime: "mtimes", content: "contents" },
  ...{ md5: "md5", sha1: "sha1", sha2: "sha2", sha3: "sha3" },
};

/** A search, ready to be asked of files. */
export class FileSearch {
  /** Absolute, without "." and "..", sorted. */
  readonly roots: readonly string[];
  /** The real paths of the roots, when links lead there. */
  readonly #places = new Set<string>();
  readonly checks: readonly FileCheck[];
  readonly maxDepth: number;
  /** The checks that were asked of at least one file, and whether one fits. */
  readonly #answers = new Map<FileCheck, boolean>();
  /** The number of hits that are still wanted. */
  #left: number;

  /**
   * @param nowNs the guest's time, since 1970
   * @throws Error that says which value is wrong
   */
  constructor(
    readonly label: string,
    readonly query: FileSearchQuery,
    nowNs: bigint,
  ) {
    if (query.paths.length === 0) throw new Error("there must be at least one path to search below");
    this.roots = [...new Set(query.paths.map(cleanPath))].sort();
    const mismatch = query.options?.mismatch ?? [];
    const unknown = mismatch.find((kind) => !CHECK_KINDS.includes(kind as CheckKind));
    if (unknown !== undefined) {
      throw new Error(`mismatch ${JSON.stringify(unknown)} is none of ${CHECK_KINDS.join(", ")}`);
    }
    this.checks = CHECK_KINDS.flatMap((kind) =>
      ((query[PARAMETERS[kind]] ?? []) as readonly string[]).map((value) =>
        makeCheck(kind, value, mismatch.includes(kind), nowNs),
      ),
    );
    this.maxDepth = query.options?.maxdepth || DEFAULT_DEPTH;
    const limit = query.options?.matchlimit ?? DEFAULT_LIMIT;
    // Which are the newest is known when all have been seen.
    this.#left = limit === 0 || this.newest > 0 ? Infinity : limit;
  }

  /** How many files are wanted, the newest of all; 0 when their age does not matter. */
  get newest(): number {
    return this.query.options?.newest ?? 0;
  }

  get wantsSha256(): boolean {
    return this.query.options?.returnsha256 ?? false;
  }

  get isMatchAll(): boolean {
    return this.query.options?.matchall ?? true;
  }

  get unpacks(): boolean {
    return this.query.options?.decompress ?? false;
  }

  get isFull(): boolean {
    return this.#left <= 0;
  }

  /** Notes whether a file fits one of the checks. */
  noteAnswer(check: FileCheck, fits: boolean): void {
    this.#answers.set(check, fits || this.#answers.get(check) === true);
  }

  /** Lists the checks that were asked of files, and that none of these fits. */
  listUnmet(): FileCheck[] {
    return this.checks.filter((check) => this.#answers.get(check) === false);
  }

  /** Counts a hit. @returns false when enough were found before */
  takeHit(): boolean {
    return this.#left-- > 0;
  }

  /** Notes the real path of a root, without links on the way. */
  locate(root: string, place: string): void {
    if (this.roots.includes(root)) this.#places.add(place);
  }

  /** Reports whether files in a directory are searched. */
  covers(directory: string): boolean {
    return !this.isFull && [...this.#places].some((root) => depthBelow(root, directory) < this.maxDepth);
  }

  /** Reports whether a path that is no directory was named itself. */
  names(path: string): boolean {
    return !this.isFull && this.#places.has(path);
  }
}

/** @returns 0 for the root itself, Infinity for what is not below it */
function depthBelow(root: string, path: string): number {
  if (path === root) return 0;
  const start = root === "/" ? "/" : `${root}/`;
  return path.startsWith(start) ? path.slice(start.length).split("/").length : Infinity;
}

/** Takes "." , ".." and double slashes out of a path. @throws Error when it is not absolute */
function cleanPath(path: string): string {
  if (!path.startsWith("/")) throw new Error(`the path ${JSON.stringify(path)} must begin with /`);
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return `/${names.join("/")}`;
}
