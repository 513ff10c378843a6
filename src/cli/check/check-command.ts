import { Command } from "commander";
import { ExitStatus } from "../exit-status";

/**
 * Creates the command `rebox check`.
 *
 * @param stdout receives the result
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
      const { checkScript } = await import("./check-script.js");
      const { ScriptFiles } = await import("../../scripts/script-files.js");
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
