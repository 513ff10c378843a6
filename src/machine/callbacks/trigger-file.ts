import { existsSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, join, resolve } from "node:path";
import { getProjectFolder } from "../../config/folders";
import { TriggerError } from "./trigger-error";

/** Where a trigger lies. */
export interface TriggerFile {
  /** C or C++; undefined when there is only a library. */
  readonly source: string | undefined;
  readonly library: string;
}

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
 * @param path absolute, or looked up in the current folder, then in rebox's own
 * @throws TriggerError when there is none, or it is named for another target
 */
export function findTriggerFile(path: string): TriggerFile {
  requireTarget(path);
  const folders = isAbsolute(path) ? ["/"] : [...new Set([process.cwd(), getProjectFolder()])];
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
