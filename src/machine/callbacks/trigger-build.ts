import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { getProjectFolder } from "../../config/folders";
import { TriggerError } from "./trigger-error";
import type { TriggerFile } from "./trigger-file";

// The Makefile has the same. Two copies of a library share its unique symbols, and its own names must win over Node's.
const FLAGS = ["-shared", "-fPIC", "-O2", "-Wall", "-Wl,-Bsymbolic"];
const CPLUSPLUS_FLAGS = ["-fno-gnu-unique"];
const HEADERS = ["native/qemu/qemu_glue.h", "triggers/rebox_trigger.h"];

function isCurrent(library: string, inputs: readonly string[]): boolean {
  const time = (file: string) => statSync(file).mtimeMs;
  return existsSync(library) && inputs.every((input) => time(input) <= time(library));
}

/**
 * Compiles a trigger when its library is missing or older than its source, the headers beside it or rebox's. Waits for the compiler,
 * which is gcc or g++, or what CC or CXX in the environment say.
 *
 * @returns the library's path
 * @throws TriggerError with the compiler's messages; an older library stays as it is
 */
export function buildTrigger({ source, library }: TriggerFile): string {
  const project = getProjectFolder();
  if (source === undefined) {
    return library;
  }
  const folder = dirname(source);
  const own = readdirSync(folder).filter((name) => /\.h(pp)?$/.test(name));
  const headers = [...HEADERS.map((header) => join(project, header)), ...own.map((name) => join(folder, name))];
  if (isCurrent(library, [source, ...headers])) {
    return library;
  }
  const isC = extname(source) === ".c";
  const compiler = isC ? (process.env["CC"] ?? "gcc") : (process.env["CXX"] ?? "g++");
  // Others may compile the same trigger at this time.
  const output = `${library}.${process.pid}`;
  const flags = [...FLAGS, ...(isC ? [] : CPLUSPLUS_FLAGS)];
  const includes = ["-I", join(project, "native/qemu"), "-I", join(project, "triggers")];
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
  return library;
}
