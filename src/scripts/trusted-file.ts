import { ModuleOwner } from "../machine/ownership/module-owner";
import { createScriptApi } from "./script-api";
import { bundleScript } from "./script-bundle";
import { ScriptModule } from "./script-module";

/**
 * Compiles and runs a file that is no script but part of rebox for its user, such as a module of the lab: it can do all that
 * Node can. Nothing is kept: a file that has changed is the new one the next time.
 *
 * @param file absolute path of a TypeScript or JavaScript file
 * @param name what errors call it
 * @param api what `import "rebox"` gives
 * @param owner what its timers and what it monitors go with; nothing by default
 * @returns what the file exports
 * @throws ScriptError when it cannot be read or compiled, with the place; whatever the file throws
 */
export async function loadTrustedFile(
  file: string,
  name: string,
  api: object,
  owner = new ModuleOwner(name),
): Promise<Readonly<Record<string, unknown>>> {
  const bundle = await bundleScript(file, name);
  const hot = { data: {} };
  return new ScriptModule(file, bundle, owner, createScriptApi(api, owner, hot), hot, console).run();
}
