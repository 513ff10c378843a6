import { existsSync } from "node:fs";
import { join } from "node:path";
import { ReboxError } from "../../config/rebox-error";
import type { Doors } from "../../scripts/loading/doors";
import { ScriptError } from "../../scripts/errors";
import { wrapThrown } from "../../scripts/script-stack";
import { loadTrustedFile } from "../../scripts/loading/trusted-file";
import type { Auxiliary } from "./auxiliary";

/**
 * Finds the private configuration of an auxiliary module: data/auxiliary/<name>.ts or .js.
 *
 * @param folder absolute path of data/auxiliary
 * @returns its path, or undefined when there is none
 */
export function findConfiguration(folder: string, name: string): string | undefined {
  return [".ts", ".js"].map((extension) => join(folder, name + extension)).find((file) => existsSync(file));
}

/**
 * Calls a private configuration's configure() with an instance of the module.
 *
 * @param file what findConfiguration() found
 * @param module the instance, before it is started; its options may be added to
 * @param api what it can import of rebox
 * @throws ScriptError when the file cannot be compiled or exports no function configure() with one parameter, or it throws, with
 *   the place; errors of rebox that it throws stay what they are
 */
export async function configureAuxiliary(file: string, module: Auxiliary, api: Doors): Promise<void> {
  const { exports, files } = await loadTrustedFile(file, `data/auxiliary/${module.name}`, api);
  const configure = exports.configure ?? exports.default;
  if (typeof configure !== "function") {
    throw new ScriptError(module.name, "exports no function configure(auxiliary)", { file });
  }
  if (configure.length !== 1) {
    throw new ScriptError(module.name, `configure: expected 1 argument, got ${configure.length}`, { file });
  }
  try {
    await (configure as (module: Auxiliary) => unknown)(module);
  } catch (error) {
    throw error instanceof ReboxError ? error : wrapThrown(error, "configure()", { name: module.name, file, files });
  }
}
