import type { ScriptPermissions } from "../config/script-permissions";
import type { LoadedScript } from "./script-registry";
import { ScriptError } from "./errors";
import type { ScriptHost } from "./script-host";

/** A loaded script, as the API and the monitor list it. */
export interface ModuleInfo {
  readonly handle: number;
  /** Module notation. */
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
  /** 1, and one more after each reload. */
  readonly version: number;
  /** The handles of the scripts it requires. */
  readonly requirements: readonly number[];
  /** Whether it runs outside the sandbox. */
  readonly isTrusted: boolean;
  /** Its commands, without "do_". */
  readonly commands: readonly string[];
}

/** One command of a script: `custom <name> <args>`. */
export interface CustomCommand {
  readonly name: string;
  /** Its function's JSDoc; empty when there is none. */
  readonly help: string;
  /** The script's module name. */
  readonly script: string;
}

let current: ScriptHost | undefined;

/** Sets the host whose scripts these functions are about: the run's. */
export function setScriptHost(host: ScriptHost | undefined): void {
  current = host;
}

/** Finds the host whose scripts these functions are about; undefined when there is no run. */
export function findScriptHost(): ScriptHost | undefined {
  return current;
}

function getHost(): ScriptHost {
  if (current === undefined)
    throw new ScriptError("scripts", "there is no run whose scripts could be loaded: rebox run");
  return current;
}

function describe(script: LoadedScript): ModuleInfo {
  const { handle, name, file, version, requirements } = script;
  const permissions: ScriptPermissions = script.permissions;
  const commands = getHost().listCommands();
  return {
    ...{ handle, name, file, version, requirements },
    isTrusted: permissions.isTrusted,
    commands: commands.filter((command) => command.script === name).map((command) => command.name),
  };
}

/**
 * Loads a script, and what it requires before; one that is loaded already stays as it is.
 *
 * @param name module notation ("scripts.my_script"), or a file's path
 * @returns the script once its initialize_callbacks() is done
 * @throws ScriptError with the reason, file and line; nothing of it is left then
 */
export async function importModule(name: string): Promise<ModuleInfo> {
  return describe(await getHost().load(name));
}

/**
 * Loads a script for a person, who wants to know whether it was loaded before.
 *
 * @param name module notation, or a file's path
 * @throws ScriptError as importModule() does
 */
export async function importModuleOnce(name: string): Promise<{ module: ModuleInfo; wasLoaded: boolean }> {
  const wasLoaded = getHost().findLoaded(name) !== undefined;
  return { module: await importModule(name), wasLoaded };
}

/**
 * Gets a loaded script.
 *
 * @param reference its handle, its name in module notation, or its file
 * @throws ScriptError that names those that are loaded
 */
export function getModule(reference: string): ModuleInfo {
  return describe(getHost().getLoaded(reference));
}

/**
 * Unloads a script: calls its clean() and removes all that it has registered.
 *
 * @param handle its module handle
 * @throws ScriptError for an unknown handle or a script that others require (it stays loaded), or when its clean() throws
 *   (it is unloaded all the same)
 */
export async function unloadModule(handle: number): Promise<void> {
  await getHost().unload(handle);
}

/**
 * Exchanges a script for the present version of its files, while the guest runs. It keeps its handle.
 *
 * @param handle its module handle
 * @throws ScriptError for an unknown handle, or a new version that does not start: the old one continues as it was
 */
export async function reloadModule(handle: number): Promise<ModuleInfo> {
  return describe(await getHost().reload(handle));
}

/** Lists the loaded scripts in the order of their handles. */
export function listModules(): ModuleInfo[] {
  return getHost().list().map(describe);
}

/** Lists the commands of all loaded scripts in the order of their names. */
export function listCommands(): CustomCommand[] {
  return getHost()
    .listCommands()
    .map(({ name, help, script }) => ({ name, help, script }));
}

/**
 * Runs a script's command, as `custom` does.
 *
 * @param line the command's name, without "do_", and its arguments
 * @returns the text that it returned, if it did
 * @throws ScriptError when there is no such command, or it throws or takes too long
 */
export async function runCommand(line: string): Promise<string | undefined> {
  return getHost().runCommand(line);
}
