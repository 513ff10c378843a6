import { resolve } from "node:path";
import { SANDBOXED, type ScriptPermissions, TRUSTED } from "../../config/script-permissions";
import { ScriptFiles } from "../../scripts/script-files";
import type { RunPlan } from "./run-plan";

/**
 * Creates what says what a script may do: by its file, since a name alone could be another file's.
 *
 * @param plan has the permissions of pyrebox.conf, and the scripts that the command line trusts
 * @returns the permissions of a script by its name and absolute path; none for one that nobody mentions
 */
export function createPermissionLookup(plan: RunPlan): (name: string, file: string) => ScriptPermissions {
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
    return plan.permissions.findLast(({ name }) => findFile(name) === file)?.permissions ?? SANDBOXED;
  };
}
