import { getProjectFolder } from "../config/folders";
import { InvestigationCatalog } from "./investigation-catalog";
import type { OperationHost } from "./run-operation";
import { PersistentHost, type PersistentHostOptions } from "./persistent-host";

let current: OperationHost | undefined;

/**
 * Sets which modules this process has.
 *
 * @param folders in which there may be a folder modules/investigation, besides rebox's own
 * @param getApi gets what `import "rebox"` gives to modules
 */
export function openInvestigations(
  folders: readonly string[],
  getApi: () => object,
  options?: PersistentHostOptions,
): OperationHost {
  const catalog = new InvestigationCatalog([getProjectFolder(), ...folders], getApi);
  current = { catalog, persistent: new PersistentHost(catalog, options) };
  return current;
}

/** Ends the persistent modules of this process. */
export async function closeInvestigations(): Promise<void> {
  const closing = current;
  current = undefined;
  await closing?.persistent.close();
}

/** Gets the modules of this process: where nobody has set them, rebox's own and those of the current folder. */
export function getInvestigations(getApi: () => object): OperationHost {
  return current ?? openInvestigations([process.cwd()], getApi);
}
