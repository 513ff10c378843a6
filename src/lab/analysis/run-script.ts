import { quoteForShell } from "../machinery/drivers/qemu/memory-snapshot";
import type { StartRequest } from "./target/start-request";
import type { GuestDisc } from "../ways/guest-disc";

/** The variable by which a target, or what launches it, is known in the guest. */
export const RUN_MARK = "REBOX_RUN";

/** The parts of a script that executes a target. */
export interface RunParts {
  /** The disc that the target was copied from; undefined when there is only a command. */
  readonly disc: GuestDisc | undefined;
  /** For sh; undefined executes the target. */
  readonly command: string | undefined;
  /** The words of what executes the target's kind; none where the kernel does. */
  readonly starter: readonly string[];
  /** Variables that its kind needs. */
  readonly variables: Readonly<Record<string, string>>;
  readonly start: StartRequest;
  /** A word for the environment that nobody else uses, without "'". */
  readonly mark: string;
}

/**
 * Writes the script that launches a target which is followed from outside. The launcher has the mark in its environment; the target,
 * which the launcher becomes, has not. It runs in the folder of the target, whose path is $TARGET. Its input is empty, because the
 * console's input belongs to rebox.
 */
export function writeLaunchScript(parts: RunParts): string {
  return writeLauncher(parts, `unset ${RUN_MARK}; ${writeExecution(parts)}`);
}

/**
 * Writes the script that runs a target in a guest that cannot be looked into, and waits until all that it has started has ended,
 * too: those processes are known by the mark, which is in their environment. See writeLaunchScript() for the rest.
 */
export function writeRunScript(parts: RunParts): string {
  const launcher = `trap ': > ${getRefusalFile(parts.mark)}' EXIT; ${writeExecution(parts)}`;
  return `${writeLauncher(parts, launcher)}
rebox_end=$?
while grep -qs ${parts.mark} /proc/[0-9]*/environ; do sleep 1; done
(exit $rebox_end)`;
}

/** Returns the path of the file that is in the guest, after writeRunScript(), when the target could not be executed. */
export function getRefusalFile(mark: string): string {
  return `/tmp/${mark}`;
}

function enterFolder({ disc }: RunParts): string {
  return disc === undefined ? "" : `cd /tmp/${disc.folder} && TARGET=$PWD/${disc.name} && export TARGET && `;
}

/** The program that becomes another user comes before the launcher, so that it is rebox's. */
function writeLauncher(parts: RunParts, launcher: string): string {
  const { user, workingFolder } = parts.start;
  const enter = workingFolder === undefined ? "" : `cd ${quoteForShell(workingFolder)} && `;
  const launch = `${enter}${RUN_MARK}=${parts.mark} exec /bin/sh -c ${quoteForShell(launcher)}`;
  const become = user === undefined ? launch : `exec su -s /bin/sh -c ${quoteForShell(launch)} ${quoteForShell(user)}`;
  return `(
${enterFolder(parts)}${become} </dev/null
)`;
}

function writeExecution({ disc, command, starter, variables, start }: RunParts): string {
  const { env = {}, args = [], workingFolder } = start;
  const exports = Object.entries({ ...variables, ...env }).map(
    ([name, value]) => `export ${name}=${quoteForShell(value)}; `,
  );
  const given = args.map((arg) => ` ${quoteForShell(arg)}`).join("");
  // "$0" of a command is sh, and its arguments follow.
  if (command !== undefined) {
    const rest = args.length === 0 ? "" : ` sh${given}`;
    return `${exports.join("")}exec /bin/sh -c ${quoteForShell(command)}${rest}`;
  }
  const name = disc === undefined ? "true" : disc.name;
  const path = workingFolder === undefined ? `./${name}` : '"$TARGET"';
  return `${exports.join("")}exec ${[...starter, path].join(" ")}${given}`;
}
