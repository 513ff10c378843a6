import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ConfigMap, ConfigNode } from "../../../config/schema/config-node";
import { ConfigProblems } from "../../../config/schema/config-problems";
import { findNearestName } from "../../../config/nearest-name";
import { type IniFiles, readIniFiles } from "../../../config/schema/ini-file";
import { readSettings } from "../../../config/schema/read-settings";
import { examineSetting, type SettingsSchema } from "../../../config/schema/settings-schema";
import { config } from "../../../config/schema/settings";
import { shortenPath } from "../../../config/schema/config-file";
import { readYamlFile } from "../../../config/schema/yaml-file";
import type { Machinery } from "../machinery";
import { getMachineSchema } from "./machine-settings";
import { type ConfiguredMachine, findDuplicates, readMachine, warnMissingInterface } from "./read-machine";

/** The content of the configuration files of one machinery. */
export interface MachineryConfig {
  /** From the lowest layer up. */
  readonly files: readonly string[];
  /** The values of the main part. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Those that are enabled and without a mistake have facts. */
  readonly machines: ReadonlyMap<string, ConfiguredMachine>;
  /** All that stands in the files. */
  readonly root: ConfigMap;
  /** Mistakes of the main part keep the machinery from being used; those of a machine only that machine. */
  readonly problems: ConfigProblems;
}

/** Finds the INI files of a machinery, from the lowest layer up. */
export function findIniFiles(labFolder: string, name: string): string[] {
  const folders = ["conf", "custom/conf"].map((folder) => join(labFolder, folder));
  const layers = folders.flatMap((folder) => {
    const parts = join(folder, `${name}.conf.d`);
    const names = existsSync(parts) ? readdirSync(parts).filter((file) => file.endsWith(".conf")) : [];
    return [join(folder, `${name}.conf`), ...names.toSorted().map((file) => join(parts, file))];
  });
  return [join(labFolder, "conf/default", `${name}.conf.default`), ...layers].filter((file) => existsSync(file));
}

/** Returns the path of a machinery's YAML file; it need not exist. */
export function getYamlFile(labFolder: string, name: string): string {
  return join(labFolder, "conf/machineries", `${name}.yaml`);
}

/**
 * Reads the configuration of a machinery.
 *
 * @param labFolder where relative paths start
 * @returns undefined when it has none, and its module makes no machines without one
 */
export function readMachineryConfig(machinery: Machinery, labFolder: string): MachineryConfig | undefined {
  const inis = findIniFiles(labFolder, machinery.name);
  const yaml = getYamlFile(labFolder, machinery.name);
  const hasYaml = existsSync(yaml);
  if (inis.length === 0 && !hasYaml && !machinery.makesMachines) return undefined;
  const problems = new ConfigProblems();
  if (inis.length > 0 && hasYaml) {
    const place = { file: shortenPath(inis[0]!), line: 1 };
    problems.error(place, `${shortenPath(yaml)} configures the same machinery; keep one of the two files`);
    return { files: [...inis, yaml], values: {}, machines: new Map(), root: NOTHING, problems };
  }
  const reader = new MachineryReader(machinery, labFolder, problems);
  if (inis.length === 0 && !hasYaml) return reader.readYaml(NOTHING, []);
  return hasYaml
    ? reader.readYaml(readYamlFile(shortenPath(yaml), problems), [yaml])
    : reader.readIni(readIniFiles(inis.map(shortenPath), problems), inis);
}

const NO_MAP = new Map<string, ConfigNode>();
const NOTHING: ConfigMap = { kind: "map", entries: NO_MAP, place: { file: "", line: 1 } };

class MachineryReader {
  constructor(
    private readonly machinery: Machinery,
    private readonly folder: string,
    private readonly problems: ConfigProblems,
  ) {}

  readYaml(root: ConfigMap, files: readonly string[]): MachineryConfig {
    const node = root.entries.get("machines");
    if (node !== undefined && node.kind !== "map" && !(node.kind === "text" && node.text === "")) {
      this.problems.error(node.place, '"machines" must hold a group of settings for each machine, below its name');
    }
    const maps = node?.kind === "map" ? node.entries : NO_MAP;
    return { ...this.#read(root, maps, files, ["machines"], false), root };
  }

  readIni(root: IniFiles, files: readonly string[]): MachineryConfig {
    const { name } = this.machinery;
    const section = root.entries.get(name);
    const main = this.machinery.makesMachines ? (section ?? { ...NOTHING, place: root.place }) : section;
    if (main?.kind !== "map") {
      if (this.problems.errors.length === 0) {
        this.problems.error(root.place, `Missing configuration section: [${name}]; it holds "machines = ..."`);
      }
      return { files, values: {}, machines: new Map(), root, problems: this.problems };
    }
    this.#warnUnusedDefaults(root);
    const maps = this.#findSections(root, main);
    return { ...this.#read(main, maps, files, ["machines"], true), root };
  }

  /** For a module that reads the file by itself, a mistake is only what it will not find among the usual machines. */
  #demote(all: readonly ConfigProblems[]): void {
    for (const problems of all) {
      const errors = problems.errors.splice(0);
      problems.warnings.splice(0);
      for (const { file, line = 1, problem } of errors) {
        problems.warn({ file, line }, `${problem} (the module of ${this.machinery.name} makes its machines itself)`);
      }
    }
  }

  /** Warns of options of [DEFAULT] that mean nothing in any section. */
  #warnUnusedDefaults({ defaults }: IniFiles): void {
    const { machinery } = this;
    const schema = { ...withInterface(machinery.settings), ...getMachineSchema(machinery, true) };
    const settings = Object.entries(schema).flatMap(([name, type]) => [
      name,
      ...(examineSetting(type).meta.aliases ?? []),
    ]);
    const known = ["machines", ...settings];
    for (const [name, place] of defaults) {
      if (known.includes(name.replace(/\..*/, ""))) continue;
      const nearest = findNearestName(name, known);
      const hint = nearest === undefined ? "only other values can name it" : `did you mean "${nearest}"?`;
      this.problems.warn(place, `"${name}" of [DEFAULT] is no setting of any section; ${hint}`);
    }
  }

  /** Gets the sections of the machines that the main section lists, in its order. */
  #findSections(root: ConfigMap, main: ConfigMap): Map<string, ConfigNode> {
    const { problems } = this;
    const { machines: names } = readSettings(
      { machines: z.array(z.string()).default([]) },
      { ...main, entries: new Map([...main.entries].filter(([key]) => key === "machines")) },
      { problems, folder: this.folder, checksSystem: false },
    );
    const place = main.entries.get("machines")?.place ?? main.place;
    const sections = new Map<string, ConfigNode>();
    for (const name of names) {
      const section = root.entries.get(name);
      if (sections.has(name)) problems.error(place, `"machines" names ${name} twice; remove one`);
      else if (section === undefined)
        problems.error(place, `"machines" names ${name}, but there is no section [${name}]`);
      else sections.set(name, section);
    }
    for (const [name, section] of root.entries) {
      if (name === this.machinery.name || names.includes(name)) continue;
      problems.warn(section.place, `[${name}] is not in "machines" of [${this.machinery.name}] and is ignored`);
    }
    return sections;
  }

  #read(
    main: ConfigMap,
    maps: ReadonlyMap<string, ConfigNode>,
    files: readonly string[],
    others: readonly string[],
    isIni: boolean,
  ): Omit<MachineryConfig, "root"> {
    const { problems, folder, machinery } = this;
    const schema = withInterface(machinery.settings);
    // Without machines nothing is used, so nothing has to be there.
    const scope = { problems, folder, checksSystem: maps.size > 0 };
    const values = readSettings(schema, main, scope, others);
    const mainInterface = values.interface as string | undefined;
    if (maps.size > 0) warnMissingInterface(mainInterface, main, problems);
    const machines = new Map<string, ConfiguredMachine>();
    for (const [name, map] of maps) {
      if (map.kind === "map") machines.set(name, readMachine(machinery, name, map, { isIni, folder, mainInterface }));
      else problems.error(map.place, `"${name}" must be a group of settings`);
    }
    findDuplicates(machinery, machines);
    if (machinery.makesMachines) this.#demote([problems, ...[...machines.values()].map((machine) => machine.problems)]);
    return { files, values, machines, problems };
  }
}

/** Every machinery may name the network interface of machines that name none. */
function withInterface(settings: SettingsSchema): SettingsSchema {
  const common = config.networkInterface().optional().describe("The network interface of machines that name none.");
  return { interface: common, ...settings };
}
