import { Command } from "commander";
import { ExitStatus } from "../exit-status";
import { checkAddon } from "./addon-check";
import type { CheckResult } from "./check-result";
import { checkDisk } from "./disk-check";
import { checkFirmware } from "./firmware-check";
import { checkGuest } from "./guest-check";
import { examineGuest } from "./guest-doctor";
import { checkNode } from "./node-check";
import { checkPatches } from "./patches-check";
import { checkQemu } from "./qemu-check";

/**
 * Creates the command `rebox doctor`.
 *
 * @param stdout where the result goes
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
        "runs, looks for the guest's system step by step, and says on what evidence a step fails.",
    )
    .argument("[socket]", "the path that was given to rebox run --control")
    .helpOption("-h, --help", "show this help")
    .option("--json", "print one JSON array of {name, status, detail, advice}; of a guest, evidence for detail")
    .action(async (socket: string | undefined, options: { json?: boolean }) => {
      if (socket !== undefined) return onStatus(await examineGuest(socket, options.json === true, stdout));
      const results = runChecks(projectFolder);
      stdout.write(options.json ? `${JSON.stringify(results, null, 2)}\n` : results.map(describeResult).join(""));
      onStatus(results.some((result) => result.status === "fail") ? ExitStatus.failure : ExitStatus.success);
    });
}

function runChecks(projectFolder: string): CheckResult[] {
  return [
    checkNode(),
    checkQemu(projectFolder),
    checkPatches(projectFolder),
    checkAddon(projectFolder),
    checkFirmware(),
    checkGuest(projectFolder),
    checkDisk(),
  ];
}

function describeResult({ name, status, detail, advice }: CheckResult): string {
  const line = `${status.padEnd(4)}  ${name.padEnd(10)}  ${detail}\n`;
  return advice === undefined ? line : `${line}${" ".repeat(18)}-> ${advice}\n`;
}
