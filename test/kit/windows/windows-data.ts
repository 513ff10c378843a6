import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { PROJECT } from "../project";

/** The folder with facts about real kernels of Windows, which is not part of rebox. */
export const WINDOWS_DATA = resolve(process.env.REBOX_WINDOWS_DATA ?? join(PROJECT, "../shared/windows"));

/** Why tests of real kernels are left out, or false. */
export const WITHOUT_WINDOWS_DATA = existsSync(join(WINDOWS_DATA, "symbols/index.json"))
  ? false
  : `there are no symbols of real kernels in ${WINDOWS_DATA}: name their folder with REBOX_WINDOWS_DATA`;

/** The entry of a file in the data's own list. */
export interface ListedSymbolFile {
  /** Below the folder `symbols`. */
  readonly file: string;
  readonly version: string;
  readonly pdb: string;
  readonly guid: string;
  readonly age: number;
  readonly symbols: number;
  readonly types: number;
}

/** Lists the symbol files of real kernels and drivers. */
export function listSymbolFiles(): ListedSymbolFile[] {
  return JSON.parse(readFileSync(join(WINDOWS_DATA, "symbols/index.json"), "utf8")) as ListedSymbolFile[];
}

/** The layout of one build, as extracted by others. */
export interface BuildLayout {
  readonly version: string;
  readonly architecture: "x86" | "x64";
  readonly types: Readonly<
    Record<string, { readonly size: number; readonly members: Readonly<Record<string, readonly [number, string]>> }>
  >;
  readonly parts: BuildLayout["types"];
}

/** Lists the layouts of builds. */
export function listLayouts(): BuildLayout[] {
  const folder = join(WINDOWS_DATA, "layouts");
  return readdirSync(folder)
    .filter((name) => /-x(86|64)\.json$/.test(name))
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as BuildLayout);
}
