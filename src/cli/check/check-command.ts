import { Command } from "commander";
import type { Doors } from "../../scripts/loading/doors";
import { ExitStatus } from "../exit-status";

/**
 * Creates the command `rebox check`.
 *
 * @param stdout receives the result
 * @param projectFolder rebox's own folder
 * @param getApi gets what scripts can import of rebox
 * @param onStatus receives the exit status: 1 when a script has a problem
 */
export function createCheckCommand(
  stdout: NodeJS.WritableStream,
  projectFolder: string,
  getApi: () => Doors,
  onStatus: (status: number) => void,
): Command {
  return new Command("check")
    .summary("check scripts without running them")
    .description(
      "Checks scripts without running them: syntax, imports, the exports every script needs, and types. A script is checked\n" +
        "as what it will be: in the sandbox, unless --trust or [PERMISSIONS] of the configuration says that it is trusted.",
    )
    .helpOption("-h, --help", "show this help")
    .argument("<files...>", "scripts: paths, or names such as scripts.my_script")
    .option("-c, --config <file>", "the configuration file; pyrebox.conf of the current folder by default")
    .option("--trust", "check the files as scripts outside the sandbox, as rebox run --trust runs them")
    .action(async (names: string[], { config, trust = false }: { config?: string; trust?: boolean }) => {
      const { checkScript, createScriptCheck } = await import("./check-script.js");
      const check = createScriptCheck(config, trust ? names : [], projectFolder, getApi());
      let status: number = ExitStatus.success;
      for (const name of names) {
        const lines = await checkScript(name, check);
        if (lines.length > 0) status = ExitStatus.failure;
        stdout.write(`${lines.length > 0 ? lines.join("\n") : `${name}: ok`}\n`);
      }
      onStatus(status);
    });
}
