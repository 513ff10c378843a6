import { Command } from "commander";
import { UsageError } from "./errors";
import { ExitStatus } from "./exit-status";

/**
 * Creates the command `rebox vol`.
 *
 * @param stdout receives the result
 * @param onStatus receives the exit status
 */
export function createVolCommand(stdout: NodeJS.WritableStream, onStatus: (status: number) => void): Command {
  const say = (text: string): void => void stdout.write(`${text}\n`);
  return new Command("vol")
    .summary("install Volatility 3, or tell which one is used")
    .description(
      "install: installs the version of Volatility 3 that rebox is tested with into a virtual environment in the cache.\n" +
        "which: tells which Volatility is used. Plugins are run in the shell: vol linux.pslist (docs/guides/volatility.md).",
    )
    .argument("<what>", "install, or which")
    .option("--wheels <folder>", "install from Python packages in a folder, without a network")
    .helpOption("-h, --help", "show this help")
    .action(async (what: string, { wheels }: { readonly wheels?: string }) => {
      const { VolatilityError } = await import("../guest/errors.js");
      try {
        if (what === "install") {
          const { installVolatility } = await import("../guest/volatility/install-volatility.js");
          say(`Volatility 3 is in ${installVolatility(say, wheels)}`);
        } else if (what === "which") {
          const { getVolatilityProgram } = await import("../guest/volatility/volatility-program.js");
          const { command, version, plugins } = await getVolatilityProgram();
          say(`${command.join(" ")}: Volatility ${version}, ${plugins.length} plugins`);
        } else throw new UsageError(`rebox vol ${what}: there are install and which`);
      } catch (error) {
        if (error instanceof VolatilityError) throw new UsageError(error.message);
        throw error;
      }
      onStatus(ExitStatus.success);
    });
}
