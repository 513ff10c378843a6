import { bundleScript } from "../../scripts/script-bundle";
import { describeMissing } from "../../scripts/script-contract";
import { ScriptError } from "../../scripts/errors";
import { findMissingExports } from "../../scripts/script-contract";
import type { ScriptFiles } from "../../scripts/script-files";
import { describeProblem, type Problem, checkTypes, findTypeScript } from "./type-check";

/**
 * Checks one script.
 *
 * @param name a path, or a name such as scripts.my_script
 * @param files finds scripts by their names
 * @param projectFolder rebox's own folder
 * @returns the problems, one text for each
 */
export async function checkScript(name: string, files: ScriptFiles, projectFolder: string): Promise<string[]> {
  let file: string;
  let missing: Problem[];
  try {
    file = files.getFile(name);
    await bundleScript(file, name);
    const names = await findMissingExports(file);
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
