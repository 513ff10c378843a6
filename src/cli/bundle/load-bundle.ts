import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
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

/** The bundle is this function, which gives the programs. */
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
    return (createRequire(__filename)(join(COMPILED, PROGRAMS[name])) as { start(): void }).start();
  }
  const file = join(folder, stamp.file);
  const codeName = `${command}-${process.version}-${process.arch}.code`;
  const places = [join(folder, "code", stamp.file), join(getUserCodeFolder(), stamp.file)];
  const cachedData = readCode(places, codeName);
  // One byte for each character: the compiler of bundles writes ASCII.
  const script = new Script(readFileSync(file, "latin1"), {
    filename: file,
    ...(cachedData ? { cachedData } : {}),
  });
  if (cachedData === undefined) saveCodeLater(script, places, codeName);
  const module = { exports: {} as { programs?: Record<string, () => void> } };
  (script.runInThisContext() as BundleFunction)(module.exports, createRequire(file), module, file, folder);
  module.exports.programs![name]!();
}

/** The rule of getCacheFolder() in src/config/folders.ts, which is a module more to load. */
function getUserCodeFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "rebox/code");
}

/** Reads what V8 has compiled in an earlier run of the command. V8 itself refuses what is not of its version and options. */
function readCode(places: readonly string[], name: string): Buffer | undefined {
  for (const place of places) {
    try {
      return readFileSync(join(place, name));
    } catch {
      // Not there: the next place, or none.
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
      return renameSync(written, join(place, name));
    } catch {
      // A package in a folder of root's: the user's own folder is next. Without any, commands are slower.
    }
  }
}
