/* eslint-disable @typescript-eslint/no-require-imports -- a module of Node's own is loaded for it otherwise, and others with that one */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type * as v8 from "node:v8";
import { Script } from "node:vm";

/**
 * The programs of rebox, each by the compiled file that has its start(). A launcher takes it out of the bundle, or else of the file.
 * Set-up makes the bundle of the same list.
 */
export const PROGRAMS = {
  rebox: "src/cli/command-line.js",
  "analysis-worker": "src/cli/analyze/analysis-work.js",
} as const;

/** The file that set-up writes beside a bundle. */
export interface BundleStamp {
  /** The bundle's file: its name has the hash of its content, since V8 compares no more than the length. */
  readonly file: string;
  /** The files by which a later compilation shows, below the folder of the build; none in a package, where nothing is compiled. */
  readonly inputs: Readonly<Record<string, FileMark>>;
}

/** The time of change in milliseconds, and the size in bytes. */
type FileMark = readonly [changedMs: number, size: number];

/** The bundle is this function, which gives the programs. Its packages are found from here as from the file: both are in rebox's folder `build`. */
type BundleFunction = (
  exports: { programs?: Record<string, () => void> },
  require: NodeJS.Require,
  module: object,
  filename: string,
  dirname: string,
) => void;

/** The compiled files: build/js. */
const COMPILED = join(__dirname, "../../..");
/** The time after which a command that goes on is taken to have called what it calls at its start, in milliseconds. */
const SETTLED_MS = 3000;
/** The bundles whose code is kept in a folder: of some versions of rebox that a user has at once, and not of all that there ever were. */
const KEPT_BUNDLES = 4;

/** Returns the folder of bundles: beside the compiled files. */
export function getBundleFolder(): string {
  return join(COMPILED, "../bundle");
}

/**
 * Reads which bundle there is.
 *
 * @returns undefined when there is none, or rebox was compiled again since: an old bundle never runs
 */
export function findBundle(folder: string = getBundleFolder()): BundleStamp | undefined {
  try {
    const stamp = JSON.parse(readFileSync(join(folder, "stamp.json"), "utf8")) as BundleStamp;
    const fits = Object.entries(stamp.inputs).every(([name, [changedMs, size]]) => {
      const now = markFile(join(folder, "..", name));
      return now[0] === changedMs && now[1] === size;
    });
    return fits ? stamp : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the marks of a file, by which a later version of it shows. @throws Error when it cannot be read */
export function markFile(file: string): FileMark {
  const { mtimeMs, size } = statSync(file);
  return [mtimeMs, size];
}

/**
 * Runs a program of rebox in this process: out of the bundle, which takes a fraction of the time, or out of the compiled files
 * when the bundle is not of these files.
 *
 * @param name the program
 * @param command names the code that V8 has compiled for it: each command calls other functions
 */
export function startProgram(name: keyof typeof PROGRAMS, command: string = name): void {
  const folder = getBundleFolder();
  const stamp = process.env.REBOX_BUNDLE === "no" ? undefined : findBundle(folder);
  if (stamp === undefined) {
    return (require(join(COMPILED, PROGRAMS[name])) as { start(): void }).start();
  }
  const file = join(folder, stamp.file);
  const places = [join(folder, "code", stamp.file), join(getUserCodeFolder(), stamp.file)];
  const kind = getCodeKind();
  const names = [command, name].map((each) => `${each}-${kind}.code`);
  const kept = readCode(places, names);
  // One byte for each character: the compiler of bundles writes ASCII.
  const script = new Script(readFileSync(file, "latin1"), {
    filename: file,
    ...(kept ? { cachedData: kept.code } : {}),
  });
  if (kept?.name !== names[0] || script.cachedDataRejected === true) saveCodeLater(script, places, names[0]!);
  const module = { exports: {} as { programs?: Record<string, () => void> } };
  (script.runInThisContext() as BundleFunction)(module.exports, require, module, file, folder);
  module.exports.programs![name]!();
}

/** The rule of getCacheFolder() in src/config/folders.ts, which is a module more to load. */
function getUserCodeFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "rebox/code");
}

/** Names the code that this process can take: V8 takes code of its own version, compiled with the same options of V8. */
function getCodeKind(): string {
  const kind = `${process.version}-${process.arch}`;
  if (process.execArgv.length === 0 && !process.env.NODE_OPTIONS) return kind;
  // Only now: it is a module more to load.
  const { cachedDataVersionTag } = require("node:v8") as typeof v8;
  return `${kind}-${cachedDataVersionTag().toString(16)}`;
}

/**
 * Reads what V8 has compiled in an earlier run.
 *
 * @param places the folders, in the order in which they are looked into
 * @param names the files in a folder: of the command itself, and of another whose start is the same
 */
function readCode(places: readonly string[], names: readonly string[]): { name: string; code: Buffer } | undefined {
  for (const name of names) {
    for (const place of places) {
      try {
        return { name, code: readFileSync(join(place, name)) };
      } catch {
        // Not there: the next place, or none.
      }
    }
  }
  return undefined;
}

/** Saves what V8 has compiled, once: when the command ends, or has settled. */
function saveCodeLater(script: Script, places: readonly string[], name: string): void {
  const save = (status = 0) => {
    clearTimeout(timer);
    process.off("exit", save);
    // A command that failed has called little, and may be none.
    if (status === 0) saveCode(script.createCachedData(), places, name);
  };
  const timer = setTimeout(() => save(), SETTLED_MS).unref();
  process.once("exit", save);
}

function saveCode(code: Buffer, places: readonly string[], name: string): void {
  for (const place of places) {
    try {
      mkdirSync(place, { recursive: true, mode: 0o700 });
      // Whole at once: another process may read it, and another write it.
      const written = join(place, `${name}.${process.pid}`);
      writeFileSync(written, code, { mode: 0o600 });
      renameSync(written, join(place, name));
      return removeOldCode(dirname(place));
    } catch {
      // A package in a folder of root's: the user's own folder is next. Without any, commands are slower.
    }
  }
}

/** Removes the code of all bundles of a folder but the newest: versions of rebox that are gone leave nothing for ever. */
function removeOldCode(folder: string): void {
  const bundles = readdirSync(folder).map((name) => join(folder, name));
  const times = new Map(bundles.map((bundle) => [bundle, statSync(bundle).mtimeMs]));
  bundles.sort((a, b) => times.get(b)! - times.get(a)!);
  for (const bundle of bundles.slice(KEPT_BUNDLES)) rmSync(bundle, { recursive: true, force: true });
}
