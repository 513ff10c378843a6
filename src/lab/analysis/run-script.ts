import { quoteForShell } from "../machinery/drivers/qemu/memory-snapshot";
import type { GuestDisc } from "../ways/guest-disc";

/** The variable by which a target, or what launches it, is known in the guest. */
export const RUN_MARK = "REBOX_RUN";

/** The parts of a script that executes a target. */
export interface RunParts {
  /** The disc that the target was copied from; undefined when there is only a command. */
  readonly disc: GuestDisc | undefined;
  /** For sh; undefined executes the target. */
  readonly command: string | undefined;
  /** The target is text for sh. */
  readonly isShellText: boolean;
  /** A word for the environment that nobody else uses, without "'". */
  readonly mark: string;
}

/**
 * Writes the script that launches a target which is followed from outside. The launcher has the mark in its environment; the target,
 * which the launcher becomes, has not. It runs in the folder of the target, whose path is $TARGET. Its input is empty, because the
 * console's input belongs to rebox.
 */
export function writeLaunchScript(parts: RunParts): string {
  const launcher = `unset ${RUN_MARK}; ${writeExecution(parts)}`;
  return `(
${enterFolder(parts)}${RUN_MARK}=${parts.mark} exec /bin/sh -c ${quoteForShell(launcher)} </dev/null
)`;
}

/**
 * Writes the script that runs a target in a guest that cannot be looked into, and waits until all that it has started has ended,
 * too: those processes are known by the mark, which is in their environment. See writeLaunchScript() for the rest.
 */
export function writeRunScript(parts: RunParts): string {
  const launcher = `trap ': > ${getRefusalFile(parts.mark)}' EXIT; ${writeExecution(parts)}`;
  return `(
${enterFolder(parts)}${RUN_MARK}=${parts.mark} exec /bin/sh -c ${quoteForShell(launcher)} </dev/null
)
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

function writeExecution({ disc, command, isShellText }: RunParts): string {
  if (command !== undefined) return `exec /bin/sh -c ${quoteForShell(command)}`;
  const name = `./${disc?.name ?? "true"}`;
  return isShellText ? `exec /bin/sh ${name}` : `exec ${name}`;
}
