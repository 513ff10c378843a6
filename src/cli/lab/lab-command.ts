import { Command, Option } from "commander";
import { relative } from "node:path";
import { ExitStatus } from "../exit-status";
import type { RunEnvironment } from "../run/run-environment";

/**
 * Creates the command `rebox lab`.
 *
 * @param onStatus receives the exit status: 1 when a module of the user's cannot be used
 */
export function createLabCommand(environment: RunEnvironment, onStatus: (status: number) => void): Command {
  const { stdout, stderr } = environment;
  const init = new Command("init")
    .summary("make a lab")
    .description(
      "Makes a lab: its folders, and a commented configuration for every machinery and auxiliary module, yours included.",
    )
    .helpOption("-h, --help", "show this help")
    .argument("[folder]", "where", ".")
    .option("--regen", "the lab is there: make the files that are missing")
    .addOption(new Option("--format <format>", "of the configuration").choices(["yaml", "conf"]).default("yaml"))
    .action(async (folder: string, { regen = false, format }: { regen?: boolean; format: "yaml" | "conf" }) => {
      const { initAuxiliary } = await import("../../lab/auxiliary/init-auxiliary.js");
      const { initLab } = await import("../../lab/init-lab.js");
      const api = environment.getApi();
      const lab = await initLab(folder, { regen, format, api });
      const auxiliary = await initAuxiliary(folder, api);
      const failures = [...lab.failures, ...auxiliary.failures];
      for (const file of [...lab.written, ...auxiliary.written]) stdout.write(`${relative("", file)}\n`);
      for (const failure of failures) stderr.write(`rebox: ${failure}\n`);
      onStatus(failures.length > 0 ? ExitStatus.failure : ExitStatus.success);
    });
  return new Command("lab")
    .summary("make a folder for machines and analyses")
    .description("Works on a lab: a folder with machines.")
    .helpOption("-h, --help", "show this help")
    .addCommand(init);
}
