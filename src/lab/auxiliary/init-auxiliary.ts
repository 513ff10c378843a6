import { appendFileSync, existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { renderIniSettings } from "../machinery/config/template";
import { writeWhole } from "../machinery/records/machine-file";
import { AuxiliaryCatalog, type AuxiliaryClass } from "./auxiliary-catalog";
import { AuxiliaryConfig } from "./auxiliary-config";
import { getAuxiliaryPlaces } from "./auxiliary-places";
import type { Doors } from "../../scripts/loading/doors";

/** The outcome of writing the configuration of auxiliary modules. */
export interface AuxiliaryInit {
  /** The file that was written, or the sections that were added to it. */
  readonly written: readonly string[];
  /** Modules that cannot be used, and so have no section. */
  readonly failures: readonly string[];
}

/**
 * Writes a commented configuration for every auxiliary module, also those of the user's. In a file that is there, sections of modules
 * that have none are added at the end; nothing in it is changed.
 *
 * @param labFolder a lab
 * @param api what modules can import of rebox
 * @throws ConfigError when the file is there and is not INI; ScriptError when two modules have the same name
 */
export async function initAuxiliary(labFolder: string, api: Doors): Promise<AuxiliaryInit> {
  const folder = resolve(labFolder);
  const places = getAuxiliaryPlaces(folder);
  for (const each of ["conf", "modules/auxiliary", "data/auxiliary"])
    mkdirSync(join(folder, each), { recursive: true });
  const catalog = new AuxiliaryCatalog(places.folders);
  const { classes, refused } = await catalog.load([...catalog.files.keys()], api);
  const failures = refused.map(({ error }) => error.message);
  if (!existsSync(places.config)) {
    writeWhole(places.config, `${HEAD}\n${classes.map(renderSection).join("\n")}`);
    return { written: [places.config], failures };
  }
  const config = AuxiliaryConfig.load(places.config);
  const added = classes.filter(({ name }) => config.find(name) === undefined);
  if (added.length > 0) appendFileSync(places.config, `\n${added.map(renderSection).join("\n")}`);
  return { written: added.map(({ name }) => `${places.config} [${name}]`), failures };
}

const HEAD = `# What is done beside each analysis. A module is used when its section says "enabled = yes".
# What may stand here: docs/reference/auxiliary.md. Check it by: rebox config check
`;

/** Writes the section of a module for somebody who has not seen it. */
export function renderSection({ name, create }: AuxiliaryClass): string {
  const { description, settings = {}, isUsual } = create;
  return [
    ...(description === "" ? [] : [`# ${description}`]),
    `[${name}]`,
    `enabled = ${isUsual ? "yes" : "no"}`,
    "",
    ...renderIniSettings(settings, ""),
  ].join("\n");
}
