import { parse } from "node:path";
import type { Doors } from "../../scripts/loading/doors";
import { ScriptError } from "../../scripts/errors";
import { listModuleFiles } from "../../scripts/module-files";
import { loadTrustedFile } from "../../scripts/loading/trusted-file";
import { Auxiliary } from "./auxiliary";

/** A class of auxiliary module and the file that it comes from. */
export interface AuxiliaryClass {
  readonly name: string;
  readonly file: string;
  readonly create: AuxiliaryConstructor;
}

/** A class that extends Auxiliary. */
export type AuxiliaryConstructor = (new () => Auxiliary) &
  Pick<typeof Auxiliary, "description" | "settings" | "isUsual" | "platforms">;

/** An auxiliary module's file that cannot be used. */
export interface RefusedAuxiliary {
  readonly name: string;
  readonly file: string;
  readonly error: Error;
}

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
      const name = parse(file).name;
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
        const { exports } = await loadTrustedFile(file, name, api);
        const create = findClass(exports, name, file);
        classes.push({ name, file, create });
      } catch (error) {
        refused.push({ name, file, error: error instanceof Error ? error : new Error(String(error)) });
      }
    }
    return { classes, refused };
  }
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
