import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Doors } from "../../scripts/doors";
import { ScriptError } from "../../scripts/errors";
import { loadTrustedFile } from "../../scripts/trusted-file";
import { Auxiliary } from "./auxiliary";

/** A class of auxiliary module and the file that it comes from. */
export interface AuxiliaryClass {
  readonly name: string;
  readonly file: string;
  readonly create: AuxiliaryConstructor;
}

/** A class that extends Auxiliary. */
export type AuxiliaryConstructor = (new () => Auxiliary) &
  Pick<typeof Auxiliary, "description" | "settings" | "isUsual">;

/** An auxiliary module's file that cannot be used. */
export interface RefusedAuxiliary {
  readonly name: string;
  readonly file: string;
  readonly error: Error;
}

const EXTENSION = /\.(ts|js)$/;

/** The files of auxiliary modules in some folders. */
export class AuxiliaryCatalog {
  /** Absolute paths by module name, in the order of the names. */
  readonly files: ReadonlyMap<string, string>;

  /**
   * Lists the files. A folder that does not exist has none.
   *
   * @param folders absolute paths
   * @throws ScriptError when two files have the same module name
   */
  constructor(folders: readonly string[]) {
    const found = new Map<string, string>();
    for (const file of folders.flatMap(listModuleFiles)) {
      const name = nameOf(file);
      const other = found.get(name);
      if (other !== undefined) {
        throw new ScriptError(name, `an auxiliary module of this name is in ${other} too; rename one of them`, {
          file,
        });
      }
      found.set(name, file);
    }
    this.files = new Map([...found].sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  /**
   * Compiles the modules that are asked for, as their files are now.
   *
   * @param names names of this catalog
   * @param api what they can import of rebox
   * @returns the classes, and the files that cannot be used, both in the catalog's order
   */
  async load(
    names: readonly string[],
    api: Doors,
  ): Promise<{ readonly classes: AuxiliaryClass[]; readonly refused: RefusedAuxiliary[] }> {
    const classes: AuxiliaryClass[] = [];
    const refused: RefusedAuxiliary[] = [];
    for (const [name, file] of this.files) {
      if (!names.includes(name)) continue;
      try {
        const create = findClass(await loadTrustedFile(file, name, api), name, file);
        classes.push({ name, file, create });
      } catch (error) {
        refused.push({ name, file, error: error instanceof Error ? error : new Error(String(error)) });
      }
    }
    return { classes, refused };
  }
}

function listModuleFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => EXTENSION.test(name) && !name.endsWith(".d.ts"))
    .map((name) => join(folder, name));
}

function nameOf(file: string): string {
  return file.replace(/^.*\//, "").replace(EXTENSION, "");
}

function findClass(exports: Readonly<Record<string, unknown>>, name: string, file: string): AuxiliaryConstructor {
  const classes = Object.values(exports).filter(
    (value): value is AuxiliaryConstructor => typeof value === "function" && value.prototype instanceof Auxiliary,
  );
  const preferred = classes.find((value) => value === exports.default) ?? classes[0];
  if (preferred === undefined) {
    const problem = "exports no class that extends Auxiliary; write: export default class extends Auxiliary { … }";
    throw new ScriptError(name, problem, { file });
  }
  if (new Set(classes).size > 1 && preferred !== exports.default) {
    throw new ScriptError(name, "exports several classes; make the one that is meant the default", { file });
  }
  return preferred;
}
