import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { MachineryManagerError } from "./errors";
import { findIniFiles, getYamlFile } from "./machinery/config/read-machinery-config";
import { renderIniTemplate, renderSettings, renderYamlTemplate } from "./machinery/config/template";
import { writeWhole } from "./machinery/records/machine-file";
import { findMachineries } from "./find-machineries";
import { LAB_SETTINGS } from "./lab-settings";
import { MODULE_FOLDER } from "./machinery-modules";
import type { Doors } from "../scripts/loading/doors";

export interface InitOptions {
  /** The lab is there already: only files that are missing are made. */
  readonly regen: boolean;
  readonly format: "yaml" | "conf";
  readonly api: Doors;
}

export interface InitResult {
  readonly written: readonly string[];
  /** Modules that cannot be used, and so have no template. */
  readonly failures: readonly string[];
}

/**
 * Makes a lab: its folders, and a commented configuration for every machinery, also those of the user's modules. No file
 * is overwritten.
 *
 * @throws MachineryManagerError when the folder is not empty, or, with regen, no lab
 */
export async function initLab(folder: string, { regen, format, api }: InitOptions): Promise<InitResult> {
  const path = resolve(folder);
  const isLab = existsSync(join(path, "conf"));
  if (regen && !isLab) throw new MachineryManagerError(`${path} is no lab: it has no folder conf; leave --regen out`);
  if (!regen && isLab) {
    throw new MachineryManagerError(
      `Path ${path} already exists and is a lab; --regen makes the files that are missing`,
    );
  }
  const others = existsSync(path)
    ? readdirSync(path).filter((name) => name !== "modules" && !name.startsWith("."))
    : [];
  if (!isLab && others.length > 0) {
    throw new MachineryManagerError(`Path ${path} already exists and is not empty; name a new folder`);
  }
  for (const each of ["conf/machineries", MODULE_FOLDER, "state"]) mkdirSync(join(path, each), { recursive: true });
  const { machineries, errors } = await findMachineries(path, api);
  const written: string[] = [];
  const write = (file: string, text: string) => {
    if (existsSync(file)) return;
    writeWhole(file, text);
    written.push(file);
  };
  for (const [name, machinery] of machineries) {
    // One of the two formats is there: the other would be a contradiction.
    if (findIniFiles(path, name).length > 0 || existsSync(getYamlFile(path, name))) continue;
    if (format === "conf") write(join(path, "conf", `${name}.conf`), renderIniTemplate(machinery));
    else write(getYamlFile(path, name), renderYamlTemplate(machinery));
  }
  if (!existsSync(join(path, "conf/lab.conf"))) {
    write(join(path, "conf/lab.yaml"), renderSettings(LAB_SETTINGS, "The lab as a whole."));
  }
  return { written, failures: errors.map(({ message }) => message) };
}
