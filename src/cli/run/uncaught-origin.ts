import { join } from "node:path";
import type { ScriptHost } from "../../scripts/script-host";

/**
 * Finds out whose fault an error is that nobody caught.
 *
 * An error in a script's timer or promise is the script's, like one in a callback. So is one without any frame of
 * rebox's own: Node's errors of sockets and files often have no frame of the code that asked for them.
 *
 * @param error what was thrown
 * @param scripts the scripts of this run
 * @param projectFolder rebox's own folder
 * @returns the script's name, "a script" when it cannot be told which, and the error in rebox's own realm; undefined when
 *   the fault is rebox's own
 */
export function findUncaughtOrigin(
  error: unknown,
  scripts: ScriptHost,
  projectFolder: string,
): { readonly script: string; readonly error: unknown } | undefined {
  const origin = scripts.findOrigin(error);
  if (origin !== undefined || scripts.list().length === 0) return origin;
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const own = [join(projectFolder, "src/"), join(projectFolder, "build/js/src/")];
  return own.some((folder) => stack.includes(folder)) ? undefined : { script: "a script", error };
}
