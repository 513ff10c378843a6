import { ModuleOwner } from "./module-owner";

const owners = new Map<number, ModuleOwner>();

/**
 * Gets the owner that stands behind a module handle; while a script is reloaded, that of its new version.
 *
 * @param moduleHandle a handle that no script host has given out gets an owner that is never closed
 */
export function getModuleOwner(moduleHandle: number): ModuleOwner {
  let owner = owners.get(moduleHandle);
  if (!owner) {
    owner = new ModuleOwner(`module ${moduleHandle}`);
    owners.set(moduleHandle, owner);
  }
  return owner;
}

/** Sets the owner that stands behind a module handle; undefined when the module is no more. */
export function setModuleOwner(moduleHandle: number, owner: ModuleOwner | undefined): void {
  if (owner) {
    owners.set(moduleHandle, owner);
  } else {
    owners.delete(moduleHandle);
  }
}

/** Finds the module handle that an owner stands behind; undefined when it is no script's, or that of an earlier version. */
export function findModuleHandle(owner: ModuleOwner): number | undefined {
  for (const [handle, known] of owners) if (known === owner) return handle;
  return undefined;
}
