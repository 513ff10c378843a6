import type { ModuleInfo } from "../../../scripts/module-control";

/**
 * Returns the answer to the import of a script, at the shell and at the monitor.
 *
 * @param wasLoaded it was loaded before, and stays as it was
 */
export function formatImported({ handle, name, version }: ModuleInfo, wasLoaded: boolean): string {
  const facts = `handle ${handle}, version ${version}`;
  return wasLoaded
    ? `${name} is loaded already: ${facts}; for the present version of its files: reload_module ${name}`
    : `${name} is loaded: ${facts}`;
}
