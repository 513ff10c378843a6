import { existsSync, statSync } from "node:fs";
import { basename, isAbsolute, join, relative, resolve, sep } from "node:path";
import { ScriptError } from "../errors";

const SUFFIXES = [".ts", ".mts", ".cts", ".js", ".mjs", ".cjs"];
const MODULE_NAME = /^[\w$-]+(\.[\w$-]+)*$/;

/** Finds the files behind scripts' names, and the names of scripts' files. */
export class ScriptFiles {
  private readonly folders: readonly string[];
  /** Those that are the same wherever rebox is started. */
  private readonly fixedFolders: readonly string[];

  /**
   * @param folders where module notation is looked up, in this order; relative ones start at the current folder, and give no
   *   names to scripts that are asked for by their path
   */
  constructor(folders: readonly string[]) {
    this.folders = [...new Set(folders.map((folder) => resolve(folder)))];
    this.fixedFolders = [...new Set(folders.filter(isAbsolute))];
  }

  /**
   * Returns the file that a path or a name in module notation stands for.
   *
   * @param pathOrName "a/b.ts" or "/x/b.ts" (a path: it has a slash or a script's suffix), or "a.b" (a/b.ts or a/b.js
   *   in one of the folders)
   * @returns an absolute path of a regular file
   * @throws ScriptError naming everything that was tried
   */
  getFile(pathOrName: string): string {
    if (isPath(pathOrName)) return this.getPath(pathOrName);
    if (!MODULE_NAME.test(pathOrName)) {
      throw new ScriptError(JSON.stringify(pathOrName), "this is neither a path nor a name such as scripts.my_script");
    }
    const path = pathOrName.replaceAll(".", sep);
    const tried: string[] = [];
    for (const folder of this.folders) {
      for (const suffix of [...SUFFIXES, join(sep, "index.ts"), join(sep, "index.js")]) {
        const file = join(folder, path + suffix);
        if (isRegularFile(file)) return file;
      }
      tried.push(join(folder, `${path}.ts`));
    }
    throw new ScriptError(pathOrName, `there is no such script; looked for ${tried.join(" and ")} (or .js)`);
  }

  /** Finds the file that a path or a name in module notation stands for; undefined where getFile() throws. */
  findFile(pathOrName: string): string | undefined {
    try {
      return this.getFile(pathOrName);
    } catch (error) {
      if (error instanceof ScriptError) return undefined;
      throw error;
    }
  }

  /**
   * Returns the module notation of a script: its path below the first folder that holds it, else the name by which it is asked
   * for, else the bare name of its file. A path is named alike from every current folder.
   *
   * @param file an absolute path
   * @param pathOrName what getFile() has found it by
   */
  getName(file: string, pathOrName = file): string {
    const bare = stripSuffix(file);
    for (const folder of this.fixedFolders) {
      const path = relative(folder, bare);
      const name = path.replaceAll(sep, ".");
      if (!isAbsolute(path) && !path.startsWith("..") && MODULE_NAME.test(name)) return name;
    }
    return isPath(pathOrName) ? basename(bare) : pathOrName;
  }

  private getPath(path: string): string {
    const file = resolve(path);
    if (!existsSync(file)) throw new ScriptError(path, `there is no such file (looked for ${file})`);
    if (!isRegularFile(file)) throw new ScriptError(path, "this is not a file; name the script's .ts or .js file");
    if (!SUFFIXES.some((suffix) => file.endsWith(suffix))) {
      throw new ScriptError(path, `a script is a TypeScript or JavaScript file (${SUFFIXES.join(", ")})`);
    }
    return file;
  }
}

function isPath(pathOrName: string): boolean {
  return pathOrName.includes("/") || SUFFIXES.some((suffix) => pathOrName.endsWith(suffix));
}

function isRegularFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

function stripSuffix(file: string): string {
  const suffix = SUFFIXES.find((candidate) => file.endsWith(candidate)) ?? "";
  return file.slice(0, file.length - suffix.length);
}
