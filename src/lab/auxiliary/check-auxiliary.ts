import { resolve } from "node:path";
import { ConfigProblems } from "../../config/schema/config-problems";
import { shortenPath } from "../../config/schema/config-file";
import { AuxiliaryCatalog } from "./auxiliary-catalog";
import { AuxiliaryConfig } from "./auxiliary-config";
import { findConfiguration } from "./private-configuration";
import { getAuxiliaryPlaces } from "./auxiliary-places";
import type { Doors } from "../../scripts/loading/doors";

/** The findings of a check of a lab's auxiliary modules. */
export interface AuxiliaryCheck {
  readonly problems: ConfigProblems;
  /** Modules that cannot be used. */
  readonly failures: readonly string[];
  /** The modules that an analysis uses. */
  readonly enabled: readonly string[];
}

/**
 * Reads the configuration of a lab's auxiliary modules and collects every mistake. No module is made.
 *
 * @param api the parts of rebox that modules can import
 */
export async function checkAuxiliary(labFolder: string, api: Doors): Promise<AuxiliaryCheck> {
  const places = getAuxiliaryPlaces(resolve(labFolder));
  const problems = new ConfigProblems();
  const config = AuxiliaryConfig.load(shortenPath(places.config), problems);
  let catalog: AuxiliaryCatalog;
  try {
    catalog = new AuxiliaryCatalog(places.folders);
  } catch (error) {
    return { problems, failures: [(error as Error).message], enabled: [] };
  }
  const names = [...catalog.files.keys()];
  problems.warnings.push(...config.findUnused(names));
  const { classes, refused } = await catalog.load(names, api);
  const enabled: string[] = [];
  for (const { name, create } of classes) {
    const section = config.find(name);
    if (section === undefined) continue;
    const before = problems.errors.length;
    const hasConfiguration = findConfiguration(places.configurations, name) !== undefined;
    if (create.settings !== undefined) config.readOptions(name, create.settings, problems, hasConfiguration);
    if (section.enabled && problems.errors.length === before) enabled.push(name);
  }
  return { problems, failures: refused.map(({ error }) => error.message), enabled };
}
