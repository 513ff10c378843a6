import { readFileSync } from "node:fs";
import { MachineryError } from "../../../errors";

/** The placeholder for the disk of one run. */
export const DISK_PLACEHOLDER = "%DISPOSABLE_DISK_PATH%";

/** Arguments that the machinery gives itself, or that would undo what it does. */
const TAKEN = [
  "-incoming",
  "-monitor",
  "-qmp",
  "-loadvm",
  "-no-shutdown",
  "-qmp-pretty",
  "-snapshot",
  "-daemonize",
  "-pidfile",
];

/**
 * Checks arguments for QEMU that somebody else has written down.
 *
 * @param args what was found; anything
 * @param source where, for the message
 * @param needsDisk they must say where the disk comes in
 * @returns them
 * @throws MachineryError that names the argument
 */
export function checkStartArguments(args: unknown, source: string, needsDisk: boolean): string[] {
  if (!Array.isArray(args) || !args.every((arg) => typeof arg === "string" || typeof arg === "number")) {
    throw new MachineryError(`${source}: the start arguments must be a list of texts`);
  }
  return checkTexts(args.map(String), source, needsDisk);
}

function checkTexts(args: string[], source: string, needsDisk: boolean): string[] {
  if (/qemu-system/.test(args[0] ?? "")) {
    throw new MachineryError(`${source}: the first start argument is ${args[0]}; leave the program out of the list`);
  }
  for (const arg of args) {
    // QEMU takes two dashes for one.
    if (TAKEN.includes(arg.replace(/^--/, "-"))) {
      throw new MachineryError(`${source}: the start arguments must not have ${arg}: the machinery gives it itself`);
    }
  }
  if (needsDisk && !args.some((arg) => arg.includes(DISK_PLACEHOLDER))) {
    throw new MachineryError(`${source}: no start argument has ${DISK_PLACEHOLDER}, where the disk of a run comes in`);
  }
  return args;
}

/** Reads the start arguments of a machineinfo.json: `{"machine": {"start_args": [...]}}`. @throws MachineryError */
export function readMachineInfo(file: string): string[] {
  let info: { readonly machine?: { readonly start_args?: unknown } };
  try {
    info = JSON.parse(readFileSync(file, "utf8")) as typeof info;
  } catch (error) {
    throw new MachineryError(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return modernize(checkStartArguments(info?.machine?.start_args, file, true));
}

/**
 * Replaces arguments that VMCloak writes and that QEMU has dropped since by what they were short for.
 * Source: docs/about/removed-features.rst of QEMU (-realtime 5.0, ide-drive 6.0, -soundhw 7.1).
 */
function modernize(args: readonly string[]): string[] {
  const sound = args.indexOf("-soundhw");
  if (sound !== -1 && args[sound + 1] === "hda") {
    // QEMU made it before all other devices, so it has their first place on the bus.
    const others = args.toSpliced(sound, 2);
    return ["-device", "intel-hda", "-device", "hda-duplex", ...modernize(others)];
  }
  return args.map((arg, index) => {
    if (arg === "-realtime" && args[index + 1] === "mlock=off") return "-overcommit";
    if (arg === "mlock=off" && args[index - 1] === "-realtime") return "mem-lock=off";
    return args[index - 1] === "-device" ? arg.replace(/^ide-drive(?=,|$)/, "ide-hd") : arg;
  });
}

/**
 * Puts values in the place of `%NAME%`.
 *
 * @throws MachineryError for a name that has no value
 */
export function fillPlaceholders(args: readonly string[], values: Readonly<Record<string, string>>): string[] {
  return args.map((arg) =>
    arg.replaceAll(/%([A-Z][A-Z_]*)%/g, (whole, name: string) => {
      const value = values[name];
      if (value !== undefined) return value;
      const known = Object.keys(values).map((each) => `%${each}%`);
      throw new MachineryError(
        `start argument ${JSON.stringify(arg)}: ${whole} has no value; known: ${known.join(", ")}`,
      );
    }),
  );
}

/** Writes a path as the value of an option of QEMU, in which a comma is written twice. */
export function escapeOption(text: string): string {
  return text.replaceAll(",", ",,");
}
