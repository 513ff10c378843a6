import { Command } from "commander";
import { bundleScript } from "../../scripts/script-bundle";
import { describeMissing } from "../../scripts/script-contract";
import { ScriptError } from "../../scripts/errors";
import { findMissingExports } from "../../scripts/script-contract";
import { ScriptFiles } from "../../scripts/script-files";
import { ExitStatus } from "../exit-status";
import { describeProblem, type Problem } from "./problem";
import { checkTypes, findTypeScript } from "./type-check";

/**
 * Creates the command `rebox check`.
 *
 * @param stdout where the result goes
 * @param projectFolder rebox's own folder
 * @param onStatus receives the exit status: 1 when a script has a problem
 */
export function createCheckCommand(
  stdout: NodeJS.WritableStream,
  projectFolder: string,
  onStatus: (status: number) => void,
): Command {
  return new Command("check")
    .summary("check scripts without running them")
    .description("Checks scripts without running them: syntax, imports, the exports every script needs, and types.")
    .helpOption("-h, --help", "show this help")
    .argument("<files...>", "scripts: paths, or names such as scripts.my_script")
    .action(async (names: string[]) => {
      const files = new ScriptFiles([".", projectFolder]);
      let status: number = ExitStatus.success;
      for (const name of names) {
        const lines = await checkScript(name, files, projectFolder);
        if (lines.length > 0) status = ExitStatus.failure;
        stdout.write(`${lines.length > 0 ? lines.join("\n") : `${name}: ok`}\n`);
      }
      onStatus(status);
    });
}

/** Returns what is wrong with one script, one text for each problem. */
async function checkScript(name: string, files: ScriptFiles, projectFolder: string): Promise<string[]> {
  let file: string;
  let missing: Problem[];
  try {
    file = files.getFile(name);
    await bundleScript(file, name);
    const names = await findMissingExports(file);
    missing = names.map((wanted) => ({ file, line: 1, column: 1, text: describeMissing(wanted) }));
  } catch (error) {
    // What does not compile has no types worth checking.
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
