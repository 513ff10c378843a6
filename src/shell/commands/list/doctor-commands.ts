import { diagnoseGuest } from "../../../guest/guest";
import type { DiagnosisStep } from "../../../systems/guest-diagnosis";
import { type Command, defineCommand } from "../command";
import { toPlainLine } from "../../../config/terminal-text";

const STATUS_WIDTH = 4;
const NAME_WIDTH = 11;

export const DOCTOR_COMMANDS: readonly Command[] = [
  defineCommand({
    name: "doctor",
    help:
      "Looks for the guest's system step by step: what was found, what failed, and what to try.\n" +
      "A kernel that was refused before is looked at anew.",
    parse: (input) => input.end(),
    run: () => {
      const { isHealthy, isEarly, steps } = diagnoseGuest();
      return {
        kind: "data",
        text: steps.map(describe).join("\n"),
        data: { isHealthy, isEarly, steps: steps.map((step) => ({ ...step })) },
      };
    },
  }),
];

function describe({ name, status, evidence, advice }: DiagnosisStep): string {
  const line = `${status.padEnd(STATUS_WIDTH)}  ${name.padEnd(NAME_WIDTH)}  ${toPlainLine(evidence)}`;
  return advice === "" ? line : `${line}\n${" ".repeat(STATUS_WIDTH + NAME_WIDTH + 4)}-> ${toPlainLine(advice)}`;
}
