import { dirname } from "node:path";
import { ReboxError } from "../../config/rebox-error";
import { ModuleOwner } from "../../machine/ownership/module-owner";
import type { Doors } from "./doors";
import { createScriptApi } from "../script-api";
import { bundleScript } from "./script-bundle";
import { ScriptModule } from "../script-module";
import { wrapThrown } from "../script-stack";

/** A file that has run. */
export interface TrustedFile {
  readonly exports: Readonly<Record<string, unknown>>;
  /** Absolute paths of the file and of all that it imports. */
  readonly files: readonly string[];
}

/**
 * Compiles and runs a file that is no script and still the user's, such as a module of the lab: it can do all that Node
 * can. Nothing is kept: a file that has changed is the new one the next time.
 *
 * @param file absolute path of a TypeScript or JavaScript file
 * @param name its name in errors
 * @param api what it can import of rebox
 * @param owner disposes of its timers and of its monitoring; by default nobody does
 * @returns its exports, and the files that went into it
 * @throws ScriptError when it cannot be read or compiled, or its top level throws, with the place; errors of rebox that its top level
 *   throws stay what they are
 */
export async function loadTrustedFile(
  file: string,
  name: string,
  api: Doors,
  owner = new ModuleOwner(name, dirname(file)),
): Promise<TrustedFile> {
  const bundle = await bundleScript(file, name, api);
  const hot = { data: {} };
  try {
    const exports = new ScriptModule(file, bundle, owner, createScriptApi(api, owner, hot), hot, console).run();
    return { exports, files: bundle.files };
  } catch (error) {
    throw error instanceof ReboxError ? error : wrapThrown(error, "its top level", { name, file, files: bundle.files });
  }
}
