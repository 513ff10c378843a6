import { Command } from "commander";
import { ExitStatus } from "../exit-status";
import { createLabOption, getLabFolder } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";

/**
 * Creates the command `rebox config`.
 *
 * @param onStatus receives the exit status: 1 when there is a mistake; warnings are none
 */
export function createConfigCommand(environment: RunEnvironment, onStatus: (status: number) => void): Command {
  const { stdout } = environment;
  const check = new Command("check")
    .summary("find every mistake in a lab's configuration")
    .description(
      "Reads all of a lab's configuration and tells every mistake with file and line. No hypervisor is asked.",
    )
    .helpOption("-h, --help", "show this help")
    .addOption(createLabOption())
    .action(async (options: { lab?: string }) => {
      const { checkAuxiliary } = await import("../../lab/auxiliary/check-auxiliary.js");
      const { checkLab } = await import("../../lab/check-lab.js");
      const folder = getLabFolder(options);
      const { problems, failures: machineFailures, machineries } = await checkLab(folder, environment.getApi());
      const auxiliary = await checkAuxiliary(folder, environment.getApi());
      problems.addAll(auxiliary.problems);
      const failures = [...machineFailures, ...auxiliary.failures];
      const lines = [
        ...problems.errors.map(({ message }) => message),
        ...failures,
        ...problems.warnings.map(String),
        ...[...machineries].map(([name, { count }]) => `${name}: ${describeCount(count)}`),
        `auxiliary: ${auxiliary.enabled.join(", ") || "none"}`,
      ];
      stdout.write(`${lines.join("\n")}\n`);
      const hasFailed = problems.errors.length > 0 || failures.length > 0;
      onStatus(hasFailed ? ExitStatus.failure : ExitStatus.success);
    });
  return new Command("config")
    .summary("check a lab's configuration")
    .description("Works on the configuration of a lab.")
    .helpOption("-h, --help", "show this help")
    .addCommand(check);
}

function describeCount(count: number | undefined): string {
  if (count === undefined) return "its module makes its machines; rebox machine list shows them";
  return `${count} machine${count === 1 ? "" : "s"} can be used`;
}
