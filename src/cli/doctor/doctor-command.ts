import { Command } from "commander";
import type { GuestDiagnosis } from "../../systems/linux/guest-diagnosis";
import { connectControl } from "../connect-control";
import { UsageError } from "../errors";
import { ExitStatus } from "../exit-status";
import type { CheckResult } from "./checks";

/**
 * Creates the command `rebox doctor`.
 *
 * @param stdout receives the result
 * @param projectFolder rebox's own folder
 * @param onStatus receives the exit status: 1 when a check fails
 */
export function createDoctorCommand(
  stdout: NodeJS.WritableStream,
  projectFolder: string,
  onStatus: (status: number) => void,
): Command {
  return new Command("doctor")
    .summary("check that everything rebox needs is there, or why a guest cannot be read")
    .description(
      "Checks that everything rebox needs is there, and says what to do where it is not. With the socket of a guest that " +
        "runs, looks for the guest's system step by step, and says on what evidence a step fails. With --lab, checks the " +
        "programs of the system that a lab uses, each for what it is needed.",
    )
    .argument("[socket]", "the path that was given to rebox run --control")
    .helpOption("-h, --help", "show this help")
    .option("--json", "print one JSON array of {name, status, detail, advice}; of a guest, evidence for detail")
    .option("--lab", "check the programs of the system that a lab uses")
    .option("--fix", "with --lab: install what is missing (Debian, Ubuntu; as root, or by sudo)")
    .action(async (socket: string | undefined, options: DoctorOptions) => {
      if (options.lab !== true && options.fix === true)
        throw new UsageError("--fix goes with --lab: rebox doctor --lab --fix");
      if (options.lab === true && socket !== undefined)
        throw new UsageError("--lab looks at this host, a socket at a guest: give one");
      if (socket !== undefined) return onStatus(await examineGuest(socket, options.json === true, stdout));
      const results = options.lab === true ? await runLabChecks(options.fix === true) : await runChecks(projectFolder);
      stdout.write(options.json ? `${JSON.stringify(results, null, 2)}\n` : results.map(describeResult).join(""));
      onStatus(results.some((result) => result.status === "fail") ? ExitStatus.failure : ExitStatus.success);
    });
}

interface DoctorOptions {
  readonly json?: boolean;
  readonly lab?: boolean;
  readonly fix?: boolean;
}

/** Checks what a lab needs of the system, and before that installs what is missing where that is asked for. */
async function runLabChecks(isFixed: boolean): Promise<CheckResult[]> {
  const { checkLab } = await import("./lab-programs.js");
  if (isFixed) {
    const { fixLab } = await import("./fix-lab.js");
    fixLab((text) => process.stderr.write(`${text}\n`));
  }
  return checkLab();
}

async function runChecks(projectFolder: string): Promise<CheckResult[]> {
  const checks = await import("./checks.js");
  const { checkBundle } = await import("../bundle/check-bundle.js");
  return [
    checks.checkNode(),
    checks.checkQemu(projectFolder),
    checks.checkPatches(projectFolder),
    checks.checkAddon(projectFolder),
    checkBundle(projectFolder),
    checks.checkFirmware(),
    checks.checkGuest(projectFolder),
    checks.checkNetworks(),
    checks.checkDisk(),
  ];
}

function describeResult({ name, status, detail, advice }: CheckResult): string {
  const line = `${status.padEnd(4)}  ${name.padEnd(10)}  ${detail}\n`;
  return advice === undefined ? line : `${line}${" ".repeat(18)}-> ${advice}\n`;
}

/**
 * Makes an engine examine its guest, and prints the diagnosis.
 *
 * @param socket the path that was given to --control
 * @returns the exit status: 1 when a step failed
 * @throws UsageError when there is no engine, or it is about to end
 */
async function examineGuest(socket: string, isJson: boolean, stdout: NodeJS.WritableStream): Promise<number> {
  const client = await connectControl(socket);
  try {
    const answer = await client.run("doctor");
    if (answer.error !== undefined) throw new UsageError(`${socket}: ${answer.error}`);
    const { isHealthy, steps } = answer.data as unknown as GuestDiagnosis;
    stdout.write(isJson ? `${JSON.stringify(steps, null, 2)}\n` : `${answer.text}\n`);
    return isHealthy ? ExitStatus.success : ExitStatus.failure;
  } finally {
    client.close();
  }
}
