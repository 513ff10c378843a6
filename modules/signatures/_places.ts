/** Where the programs of a system lie, and which paths lead there. */
import type { SeenAct } from "rebox/lab";

/** The folders that a system has its programs in. Another program there is an act of its own: see system-program-replaced. */
const FOLDERS = String.raw`(?:/usr)?/(?:s?bin|lib(?:exec)?/(?:apt|dpkg|git-core|openssh|systemd|gcc/[^/]+/[^/]+))`;
const PROGRAM = new RegExp(`^${FOLDERS}/([^/]+)$`);
const LIBRARY = /^\/(usr\/)?lib\/(x86_64-linux-gnu\/)?[^/]+\.so(\.[\d.]+)?$/;
const FOLDER = new RegExp(`^(${FOLDERS}|(/usr)?/lib/x86_64-linux-gnu)$`);
/** The folders that these folders lie in; of the whole system it is "/". */
const ABOVE = /^\/(usr|(usr\/)?lib(exec)?(\/gcc(\/[^/]+)?)?)?$/;

/** A path that is written otherwise than it need be. */
const ROUNDABOUT = /\/\/|\/\.\.?(\/|$)|.\/$|^\/proc\/[^/]+\/(task\/[^/]+\/)?root(\/|$)/;
const PROCESS = /^(self|thread-self|\d+)$/;

/** Symbolic links that are remembered, and followed on the way to one file. */
const MOST_LINKS = 10_000;
const MOST_STEPS = 8;

/**
 * Writes a path as the kernel would: without "//", ".", "..", a slash at its end, and the root of a process (`/proc/self/root`), which
 * counts as that of the system. It does not know what symbolic links lead to.
 */
export function normalisePath(path: string): string {
  if (!path.startsWith("/") || !ROUNDABOUT.test(path)) return path;
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name === "..") names.pop();
    else names.push(name);
    if (isRoot(names)) names.length = 0;
  }
  return `/${names.join("/")}`;
}

function isRoot(names: readonly string[]): boolean {
  const [top, process = ""] = names;
  if (names.at(-1) !== "root" || top !== "proc" || !PROCESS.test(process)) return false;
  return names.length === 3 || (names.length === 5 && names[2] === "task");
}

/** Finds the name of the program of the system that has its place there; undefined for other paths. */
export function findSystemProgram(path: string): string | undefined {
  return PROGRAM.exec(path)?.[1];
}

/** Whether what lies at a path is a program or library of the system. */
export function isSystemFile(path: string): boolean {
  return PROGRAM.test(path) || LIBRARY.test(path);
}

/** Whether a folder has programs or libraries of the system in it, or in those below it. */
export function isSystemFolder(path: string): boolean {
  return FOLDER.test(path) || ABOVE.test(path);
}

/** The symbolic links that were made in an analysis: a path through one of them leads elsewhere. */
export class SymbolicLinks {
  readonly #targets = new Map<string, string>();

  /** Notes an act; most are none with links. */
  note(act: SeenAct): void {
    const { path, to } = act as { readonly path?: unknown; readonly to?: unknown };
    if (typeof path !== "string") return;
    if (act.type === "file.linked" && act["kind"] === "symbolic" && typeof to === "string") this.#set(to, path);
    else if (this.#targets.size === 0) return;
    else if (act.type === "file.removed") this.#targets.delete(this.follow(normalisePath(path)));
    else if (act.type === "file.renamed" && typeof to === "string") this.#move(path, to);
  }

  /** Finds where a path leads to. @param isWhole its last name is followed, too */
  follow(path: string, isWhole = false): string {
    let place = path;
    for (let steps = 0; steps < MOST_STEPS && this.#targets.size > 0; steps++) {
      const next = this.#followOne(place, isWhole);
      if (next === undefined) break;
      place = next;
    }
    return place;
  }

  #followOne(path: string, isWhole: boolean): string | undefined {
    for (let end = path.indexOf("/", 1); end >= 0; end = path.indexOf("/", end + 1)) {
      const target = this.#targets.get(path.slice(0, end));
      if (target !== undefined) return normalisePath(`${target}${path.slice(end)}`);
    }
    return isWhole ? this.#targets.get(path) : undefined;
  }

  #set(link: string, text: string): void {
    const place = this.follow(normalisePath(link));
    if (this.#targets.size >= MOST_LINKS) return;
    const target = text.startsWith("/") ? text : `${place.slice(0, place.lastIndexOf("/"))}/${text}`;
    this.#targets.set(place, normalisePath(target));
  }

  #move(from: string, to: string): void {
    const [old, place] = [this.follow(normalisePath(from)), this.follow(normalisePath(to))];
    const target = this.#targets.get(old);
    this.#targets.delete(old);
    this.#targets.delete(place);
    if (target !== undefined) this.#targets.set(place, target);
  }
}
