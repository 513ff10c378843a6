import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { loadConfig } from "../../config/rebox-config";
import type { ScriptPermissions } from "../../config/script-permissions";
import type { Doors } from "../../scripts/loading/doors";
import { bundleScript } from "../../scripts/loading/script-bundle";
import { listRequiredFiles } from "../../scripts/loading/script-declarations";
import { describeMissing } from "../../scripts/script-contract";
import { ScriptError } from "../../scripts/errors";
import { findMissingExports } from "../../scripts/script-contract";
import { ScriptFiles } from "../../scripts/loading/script-files";
import { DEFAULT_CONFIG } from "../run/run-plan";
import { createPermissionLookup } from "../run/run-scripts";
import { describeProblem, type Problem, checkTypes, findTypeScript } from "./type-check";

/** Where files lie that are no scripts: modules of a lab and of investigations, and private configurations. None is sandboxed. */
const MODULE_PLACE = /\/(?:modules\/(?:auxiliary|investigation|machinery)|data\/auxiliary)\//;

/** The surroundings that scripts are checked for. */
export interface ScriptCheck {
  readonly files: ScriptFiles;
  readonly doors: Doors;
  readonly projectFolder: string;
  getPermissions(name: string, file: string): ScriptPermissions;
}

/**
 * Reads what scripts will be: trusted, or in the sandbox.
 *
 * @param configFile the configuration; undefined for the one of the current folder, if there is one
 * @param trustedScripts the scripts that the command line trusts
 * @throws ConfigError for a wrong or missing configuration
 */
export function createScriptCheck(
  configFile: string | undefined,
  trustedScripts: readonly string[],
  projectFolder: string,
  doors: Doors,
): ScriptCheck {
  const path = configFile ?? (existsSync(DEFAULT_CONFIG) ? DEFAULT_CONFIG : undefined);
  const config = path === undefined ? undefined : loadConfig(path);
  const scriptFolders = [...(config === undefined ? [] : [dirname(config.file)]), ".", projectFolder];
  const getPermissions = createPermissionLookup({
    scriptFolders,
    trustedScripts,
    configFile: resolve(path ?? DEFAULT_CONFIG),
  });
  return { files: new ScriptFiles(scriptFolders), doors, projectFolder, getPermissions };
}

/**
 * Checks one script. A file in a folder of modules is checked as a module: it may import every door, and needs no function of a script.
 *
 * @param name a path, or a name such as scripts.my_script
 * @returns the problems, one text for each
 */
export async function checkScript(name: string, check: ScriptCheck): Promise<string[]> {
  const { files, doors, projectFolder } = check;
  let file: string;
  let missing: Problem[];
  try {
    file = files.getFile(name);
    const required = listRequiredFiles(file, files);
    const isModule = MODULE_PLACE.test(file);
    await bundleScript(file, name, doors, isModule || check.getPermissions(name, file).isTrusted, required);
    const names = isModule ? [] : await findMissingExports(file, doors);
    missing = names.map((wanted) => ({ file, line: 1, column: 1, text: describeMissing(wanted) }));
  } catch (error) {
    // A script that does not compile has no types worth checking.
    if (error instanceof ScriptError) return [error.toReport()];
    throw error;
  }
  const problems = missing.map(describeProblem);
  const typescript = findTypeScript(file, projectFolder);
  if (typescript === undefined) {
    return [
      ...problems,
      `${name}: types are not checked: install the compiler beside it: npm install --save-dev typescript`,
    ];
  }
  return [...problems, ...checkTypes(typescript, file, projectFolder).map(describeProblem)];
}
