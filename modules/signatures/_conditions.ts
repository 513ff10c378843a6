/** Conditions on acts, which the signatures of this folder share. */
import type { SeenAct, SeenProcess, SignatureWatcher } from "rebox/lab";
import { findSystemProgram, normalisePath } from "./_places";

/** Acts after which a path holds what the doer wants. */
const WRITES = new Set(["file.written", "file.renamed", "file.linked", "file.made"]);

/** Programs that install packages, where systems have them: what they write is the package's. */
const INSTALLERS = /^(\/usr)?\/s?bin\/(dpkg|dpkg-deb|apt|apt-get|rpm|dnf|yum|apk|pacman)$/;

/** The different programs of a process and of those that made it, the nearest ones. */
const MOST_PROGRAMS = 200;

/** The last act that was asked about: all signatures ask about each. */
let asked: { readonly act: SeenAct; readonly written: readonly string[] } | undefined;

/** Lists the paths that an act has filled, the new name first: both, where two files have changed places. */
export function listWritten(act: SeenAct): readonly string[] {
  if (!WRITES.has(act.type)) return [];
  if (asked?.act === act) return asked.written;
  const { path, to, exchanged } = act as {
    readonly path?: unknown;
    readonly to?: unknown;
    readonly exchanged?: unknown;
  };
  const hasNewName = act.type === "file.renamed" || act.type === "file.linked";
  const filled = hasNewName ? (exchanged === true ? [to, path] : [to]) : [path];
  const written = filled.filter((one) => typeof one === "string").map(normalisePath);
  asked = { act, written };
  return written;
}

/** Returns the path that an act has filled; undefined when it has filled none. */
export function getWritten(act: SeenAct): string | undefined {
  return listWritten(act)[0];
}

/** Returns the path of an act. */
export function getPath(act: SeenAct): string {
  return typeof act["path"] === "string" ? normalisePath(act["path"]) : "";
}

/** Fires when a path that fits is filled, except by the installation of a package. */
export function onWrite(...paths: readonly RegExp[]): SignatureWatcher {
  return (act) => {
    const path = listWritten(act).find((written) => paths.some((one) => one.test(written)));
    return path === undefined || isInstaller(act) ? undefined : `it wrote ${path}`;
  };
}

/** Fires when a program begins whose command line fits. */
export function onCommand(...lines: readonly RegExp[]): SignatureWatcher {
  return (act) => {
    if (act.type !== "process.executed") return undefined;
    const line = act.doer?.commandLine ?? "";
    return lines.some((one) => one.test(line)) ? `it ran ${line}` : undefined;
  };
}

/** Fires for acts of a type, where a condition holds. */
export function onAct(type: string, holds: (act: SeenAct) => boolean = () => true): SignatureWatcher {
  return (act) => act.type === type && holds(act);
}

/** Fires when one of several conditions does. */
export function onAny(...watchers: readonly SignatureWatcher[]): SignatureWatcher {
  return (act) => {
    for (const watch of watchers) {
      const answer = watch(act);
      if (answer === true || typeof answer === "string") return answer;
    }
    return undefined;
  };
}

/** Fires once, when acts that fit have touched so many different things. */
export function onMany(
  least: number,
  getThing: (act: SeenAct) => string | undefined,
  what: string,
): () => SignatureWatcher {
  return () => {
    const things = new Set<string>();
    return (act) => {
      if (things.size >= least) return undefined;
      const thing = getThing(act);
      if (thing !== undefined) things.add(thing);
      return things.size >= least ? `${least} ${what}` : undefined;
    };
  };
}

/**
 * Tells whether a process runs one of the system's own programs, by the place of the file that the kernel has executed: everybody can
 * give a program their names. One that is there only since the target began is none.
 *
 * @param names fits the file's name without its folder
 */
export function isSystemProgram(process: SeenProcess | undefined, names: RegExp): boolean {
  if (process?.executable === undefined || process.isChanged === true) return false;
  const name = findSystemProgram(process.executable);
  return name !== undefined && names.test(name);
}

/** Whether an act is of the installation of a package. */
export function isInstaller(act: SeenAct): boolean {
  return listPrograms(act.doer).some(
    ({ executable = "", isChanged }) => isChanged !== true && INSTALLERS.test(executable),
  );
}

const programs = new WeakMap<SeenProcess, readonly SeenProcess[]>();

/**
 * Lists a process and those that made it, of each program with its words only one. Thousands that fork each other run one program, so
 * this takes no time that grows with the length of their chain.
 */
export function listPrograms(process: SeenProcess | undefined): readonly SeenProcess[] {
  const waiting: SeenProcess[] = [];
  let one = process;
  for (; one !== undefined && !programs.has(one); one = one.parent) waiting.push(one);
  let list = one === undefined ? [] : programs.get(one)!;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { executable, isChanged, commandLine } = next;
    const isSame = (other: SeenProcess) => other.executable === executable && other.isChanged === isChanged && other.commandLine === commandLine; // prettier-ignore
    if (!list.some(isSame)) list = [next, ...list.slice(0, MOST_PROGRAMS - 1)];
    programs.set(next, list);
  }
  return list;
}
