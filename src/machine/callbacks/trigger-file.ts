import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, join, resolve } from "node:path";
import { getProjectFolder } from "../../config/folders";
import { TriggerError } from "../errors";

/** Where a trigger lies. */
export interface TriggerFile {
  /** C or C++; undefined when there is only a library. */
  readonly source: string | undefined;
  readonly library: string;
}

// The Makefile has the same. Two copies of a library share its unique symbols, and its own names must win over Node's.
const FLAGS = ["-shared", "-fPIC", "-O2", "-Wall", "-Wl,-Bsymbolic"];
const CPLUSPLUS_FLAGS = ["-fno-gnu-unique"];
const HEADERS = [
  ...["native/qemu/qemu_glue.h", "triggers/rebox_trigger.h", "triggers/pyrebox/callbacks.h"],
  ...["triggers/pyrebox/trigger_helpers.h", "triggers/pyrebox/utils.h", "triggers/pyrebox/Python.h"],
];
const INCLUDES = ["native/qemu", "triggers", "triggers/pyrebox"];

const TARGET = "-x86_64-softmmu";
const SOURCE_SUFFIXES = [".c", ".cc", ".cpp"];

function requireTarget(path: string): void {
  const other = /-([a-z0-9_]+)-softmmu(\.so)?$/.exec(basename(path));
  if (other && other[1] !== "x86_64") {
    const name = path.replace(/-[a-z0-9_]+-softmmu(\.so)?$/, "");
    throw new TriggerError(
      `${path} is named for the target ${other[1]}; rebox has one target, x86_64, which runs 32-bit guests too: ` +
        `compile the trigger as ${name}${TARGET}.so, or give ${name}`,
    );
  }
}

/** The file that path means in one folder, if there is one. */
function findBelow(folder: string, path: string): TriggerFile | undefined {
  const full = resolve(folder, path);
  const suffix = extname(full);
  if (SOURCE_SUFFIXES.includes(suffix)) {
    const library = join(dirname(full), `${basename(full, suffix)}${TARGET}.so`);
    return existsSync(full) ? { source: full, library } : undefined;
  }
  const stem = full.replace(/\.so$/, "").replace(new RegExp(`${TARGET}$`), "");
  const library = suffix === ".so" ? full : `${stem}${TARGET}.so`;
  // A library of another name was not compiled here, so no source is looked for.
  const isOurs = library === `${stem}${TARGET}.so`;
  const source = isOurs ? SOURCE_SUFFIXES.map((end) => stem + end).find((file) => existsSync(file)) : undefined;
  return source !== undefined || existsSync(library) ? { source, library } : undefined;
}

/**
 * Finds a trigger: a library (.so), a source (.c, .cc, .cpp), or the name of both without a suffix.
 *
 * @param path absolute, or looked up beside the script, then in the current folder, then in rebox's own
 * @param scriptFolder the absolute path of the folder of the script that asks; undefined when none does
 * @throws TriggerError when there is none, or it is named for another target
 */
export function findTriggerFile(path: string, scriptFolder?: string): TriggerFile {
  requireTarget(path);
  const beside = scriptFolder === undefined ? [] : [scriptFolder];
  const folders = isAbsolute(path) ? ["/"] : [...new Set([...beside, process.cwd(), getProjectFolder()])];
  for (const folder of folders) {
    const found = findBelow(folder, path);
    if (found) {
      return found;
    }
  }
  const where = isAbsolute(path) ? "" : `, neither in ${folders.join(" nor in ")}`;
  throw new TriggerError(
    `there is no trigger ${path}${where}: it is a .so, a .c, .cc or .cpp, or their name without a suffix`,
  );
}

/**
 * Lists the files that a trigger is made of, those that rebox has for all triggers aside: its source with the headers beside it, or
 * its library when there is no source.
 */
export function listTriggerInputs({ source, library }: TriggerFile): string[] {
  if (source === undefined) return [library];
  const folder = dirname(source);
  const headers = readdirSync(folder).filter((name) => /\.h(pp)?$/.test(name));
  return [source, ...headers.map((name) => join(folder, name))];
}

/** By the library: a hash of the inputs of which this process has found it to be made. */
const knownInputs = new Map<string, string>();

function hashInputs(inputs: readonly string[]): string {
  const hash = createHash("sha256");
  for (const input of inputs) hash.update(`${input}\0`).update(readFileSync(input)).update("\0");
  return hash.digest("hex");
}

/** A file that takes the place of another one may be older than what was compiled from that. */
function isCurrent(library: string, inputs: readonly string[], hash: string): boolean {
  const time = (file: string) => statSync(file).mtimeMs;
  const isNewest = existsSync(library) && inputs.every((input) => time(input) <= time(library));
  return isNewest && (knownInputs.get(library) ?? hash) === hash;
}

/**
 * Compiles a trigger when its library is missing or older than its source, the headers beside it or rebox's. Waits for the compiler,
 * which is gcc or g++, or what CC or CXX in the environment say.
 *
 * @returns the library's path
 * @throws TriggerError with the compiler's messages; an older library stays as it is
 */
export function buildTrigger(trigger: TriggerFile): string {
  const { source, library } = trigger;
  const project = getProjectFolder();
  if (source === undefined) {
    return library;
  }
  const inputs = [...listTriggerInputs(trigger), ...HEADERS.map((header) => join(project, header))];
  const hash = hashInputs(inputs);
  if (isCurrent(library, inputs, hash)) {
    knownInputs.set(library, hash);
    return library;
  }
  const isC = extname(source) === ".c";
  const compiler = isC ? (process.env["CC"] ?? "gcc") : (process.env["CXX"] ?? "g++");
  // Others may compile the same trigger at this time.
  const output = `${library}.${process.pid}`;
  const flags = [...FLAGS, ...(isC ? [] : CPLUSPLUS_FLAGS)];
  const includes = INCLUDES.flatMap((name) => ["-I", join(project, name)]);
  const run = spawnSync(compiler, [...flags, ...includes, "-o", output, source], { encoding: "utf8" });
  if (run.error) {
    throw new TriggerError(
      `${source} was not compiled: ${compiler} cannot be run (${run.error.message}); install it, or set ${isC ? "CC" : "CXX"}`,
    );
  }
  if (run.status !== 0) {
    rmSync(output, { force: true });
    throw new TriggerError(`${source} does not compile:\n${run.stderr.trimEnd()}`);
  }
  renameSync(output, library);
  knownInputs.set(library, hash);
  return library;
}
