import { getProjectFolder } from "../config/folders";
import type { Doors } from "../scripts/loading/doors";
import { InvestigationCatalog } from "./catalog";
import { PersistentHost, type PersistentHostOptions } from "./persistent/host";
import type { OperationHost } from "./run-operations";

/** Options of the investigations of a process. */
export interface InvestigationOptions extends PersistentHostOptions {
  /** Every answer is masked, whoever asks and whatever is asked for. */
  readonly isPrivate?: boolean;
}

let current: OperationHost | undefined;

/**
 * Sets the modules of this process.
 *
 * @param folders the folders that may have a folder modules/investigation, besides rebox's own
 * @param getApi gets what modules can import of rebox
 */
export function openInvestigations(
  folders: readonly string[],
  getApi: () => Doors,
  options?: InvestigationOptions,
): OperationHost {
  const catalog = new InvestigationCatalog([getProjectFolder(), ...folders], getApi);
  current = { catalog, persistent: new PersistentHost(catalog, options), isPrivate: options?.isPrivate ?? false };
  return current;
}

/** Ends the persistent modules of this process. */
export async function closeInvestigations(): Promise<void> {
  const closing = current;
  current = undefined;
  await closing?.persistent.close();
}

/** Gets the modules of this process; unless they were set, those are rebox's own and those of the current folder. */
export function getInvestigations(getApi: () => Doors): OperationHost {
  return current ?? openInvestigations([process.cwd()], getApi);
}
