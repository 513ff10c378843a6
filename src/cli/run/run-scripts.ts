import { existsSync } from "node:fs";
import { resolve, join } from "node:path";
import { loadConfig } from "../../config/rebox-config";
import { SANDBOXED, type ScriptPermissions, TRUSTED } from "../../config/script-permissions";
import { ScriptFiles } from "../../scripts/loading/script-files";
import type { ScriptHost } from "../../scripts/script-host";
import type { RunPlan } from "./run-plan";

/** The reasons to trust a script: the command line, and the permissions of pyrebox.conf. */
export type ScriptTrust = Pick<RunPlan, "scriptFolders" | "trustedScripts" | "configFile">;

/**
 * Creates the look-up of permissions. It goes by the script's file, since a name alone could be another file's.
 *
 * @param plan names the configuration, and the scripts that the command line trusts
 * @returns the permissions of a script by its name and absolute path, as the configuration is at that moment; none for
 *   one that nobody mentions. It throws ConfigError for a configuration that has become wrong.
 */
export function createPermissionLookup(plan: ScriptTrust): (name: string, file: string) => ScriptPermissions {
  const files = new ScriptFiles(plan.scriptFolders);
  const findFile = (pathOrName: string): string | undefined => {
    try {
      return files.getFile(pathOrName);
    } catch {
      // Loading it will say so; permissions for a script that does not exist harm nobody.
      return undefined;
    }
  };
  return (_name, file) => {
    if (plan.trustedScripts.some((script) => findFile(script) === resolve(file))) return TRUSTED;
    const permissions = existsSync(plan.configFile) ? loadConfig(plan.configFile).permissions : [];
    return permissions.findLast(({ name }) => findFile(name) === file)?.permissions ?? SANDBOXED;
  };
}

/**
 * Finds the script whose fault an uncaught error is.
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
  const own = [join(projectFolder, "src/"), join(projectFolder, "build/js/src/"), join(projectFolder, "build/bundle/")];
  return own.some((folder) => stack.includes(folder)) ? undefined : { script: "a script", error };
}
