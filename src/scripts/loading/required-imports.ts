import type { Plugin } from "esbuild";
import type { ScriptPermissions } from "../../config/script-permissions";
import { getRealFile } from "./script-declarations";

/** The exports of a script that another one requires. Each is asked for when it is used: a reload exchanges it. */
export interface RequiredScript {
  /** Its module name. */
  readonly name: string;
  readonly permissions: ScriptPermissions;
  /** The names of the exports of the version that is loaded now. */
  listExports(): string[];
  /** Reads an export of the version that is loaded now; undefined when it has none of this name. */
  readExport(name: string): unknown;
}

/** Reads the exports of one version of a script. */
export type ExportReader = Pick<RequiredScript, "listExports" | "readExport">;

/** Finds a required script by its file; undefined for a file that is no script which the asking one requires. */
export type FindRequired = (file: string) => RequiredScript | undefined;

/** Marks an import that is being resolved, so that it is not asked for again. */
const RESOLVING = Symbol("resolving");

/**
 * Creates the esbuild plugin that leaves imports of required scripts out of the bundle: they stay imports, by absolute
 * path, so that the script gets the exports of the script that is loaded, not of a copy.
 *
 * @param required absolute paths of the scripts that this one requires
 */
export function createRequiredImports(required: readonly string[]): Plugin {
  const byRealPath = new Map(required.map((file) => [getRealFile(file), file]));
  return {
    name: "rebox-required-imports",
    setup(build) {
      if (required.length === 0) return;
      build.onResolve({ filter: /^[./]/ }, async ({ path, importer, resolveDir, kind, pluginData }) => {
        if (kind === "entry-point" || pluginData === RESOLVING) return undefined;
        const found = await build.resolve(path, { importer, resolveDir, kind, pluginData: RESOLVING });
        const file = byRealPath.get(found.path);
        return file === undefined ? undefined : { path: file, external: true };
      });
    },
  };
}

/**
 * Makes the module of a required script: its exports, each read when it is used.
 *
 * @param find finds the version that is loaded now
 * @returns undefined when there is none
 */
export function createRequiredModule(find: () => RequiredScript | undefined): object | undefined {
  const module = Object.defineProperty({}, "__esModule", { value: true });
  const define = (name: string, get: () => unknown) => Object.defineProperty(module, name, { enumerable: true, get });
  const names = find()?.listExports();
  if (names === undefined) return undefined;
  for (const name of names) define(name, () => find()?.readExport(name));
  // A CommonJS script is imported as a whole, too.
  if (!names.includes("default")) define("default", () => module);
  return module;
}
