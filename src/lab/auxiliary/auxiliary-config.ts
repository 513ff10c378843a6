import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ConfigError } from "../../config/errors";
import { ConfigWarning } from "../../config/config-warning";
import { findNearestName } from "../../config/nearest-name";
import type { ConfigMap, ConfigNode } from "../../config/schema/config-node";
import { ConfigProblems } from "../../config/schema/config-problems";
import { readIniFiles } from "../../config/schema/ini-file";
import { readSettings } from "../../config/schema/read-settings";
import { convertSwitch, FALSE_WORDS, type SettingsSchema, TRUE_WORDS } from "../../config/schema/settings-schema";
import type { OptionValue } from "./auxiliary";

/** One section of conf/auxiliary.conf. */
export interface AuxiliarySection {
  readonly enabled: boolean;
  /** As they stand in the file, by their names in lower case, without `enabled`. */
  readonly options: Readonly<Record<string, OptionValue>>;
  /** 1-based. */
  readonly line: number;
}

interface ReadSection extends AuxiliarySection {
  readonly map: ConfigMap;
}

/** conf/auxiliary.conf: which auxiliary modules are used, and with what options. */
export class AuxiliaryConfig {
  private readonly sections = new Map<string, ReadSection>();

  /** @param file the name to use in warnings */
  private constructor(readonly file: string) {}

  /**
   * Reads the file. One that does not exist enables nothing.
   *
   * @param problems receives what is wrong with it; a section with a mistake is left out then
   * @throws ConfigError without `problems`: for a file that is not INI, a section that appears twice, or a value of `enabled` that
   *   is not a switch
   */
  static load(file: string, problems?: ConfigProblems): AuxiliaryConfig {
    const config = new AuxiliaryConfig(file);
    const found = problems ?? new ConfigProblems();
    config.read(found);
    if (problems === undefined && found.errors.length > 0) throw found.errors[0]!;
    return config;
  }

  /** Returns the section of a module, or undefined when there is none: the names must be the same in every letter. */
  find(name: string): AuxiliarySection | undefined {
    return this.sections.get(name);
  }

  /**
   * Reads the options of a module that says what they may be.
   *
   * @param name of a section that there is
   * @param settings the module's
   * @param problems receives every mistake, and a warning for each name that the module does not know
   * @param hasConfiguration whether data/auxiliary has a file for it: every name may mean something there
   * @returns the values, undefined where there is a mistake; with those that only a file in data/auxiliary knows
   */
  readOptions(
    name: string,
    settings: SettingsSchema,
    problems: ConfigProblems,
    hasConfiguration: boolean,
  ): Record<string, unknown> {
    const { map, enabled, options } = this.sections.get(name)!;
    // The file is in the folder conf of the lab.
    const folder = dirname(dirname(resolve(this.file)));
    const others = hasConfiguration ? [...map.entries.keys()] : ["enabled"];
    const own = readSettings(settings, map, { problems, folder, checksSystem: enabled }, others);
    return { ...(hasConfiguration && options), ...own };
  }

  /** Returns a warning for each section that no module has, with the module that was probably meant. */
  findUnused(names: readonly string[]): ConfigWarning[] {
    return [...this.sections]
      .filter(([section]) => !names.includes(section))
      .map(([section, { line }]) => {
        const meant = findNearestName(section, names);
        const hint = meant === undefined ? `modules are: ${names.join(", ") || "none"}` : `did you mean [${meant}]?`;
        return new ConfigWarning(this.file, line, `there is no auxiliary module [${section}]; ${hint}`);
      });
  }

  private read(problems: ConfigProblems): void {
    if (!existsSync(this.file)) return;
    for (const [name, map] of readIniFiles([this.file], problems).entries) {
      try {
        if (map.kind === "map") this.add(name, map);
      } catch (error) {
        problems.add(error);
      }
    }
  }

  private add(name: string, map: ConfigMap): void {
    const { line } = map.place;
    this.sections.set(name, { enabled: this.readEnabled(map), options: typeOptions(map), line, map });
  }

  private readEnabled({ entries }: ConfigMap): boolean {
    const node = entries.get("enabled");
    if (node === undefined) return false;
    const enabled = node.kind === "text" ? convertSwitch(node.text) : undefined;
    if (enabled !== undefined) return enabled;
    const shown = node.kind === "text" ? JSON.stringify(node.text) : "a group of values";
    const accepted = `it must be one of ${[...TRUE_WORDS, ...FALSE_WORDS].join(", ")}`;
    throw new ConfigError(this.file, node.place.line, `"enabled" is ${shown}; ${accepted}`);
  }
}

/** Types the values as CAPE's Config does: 0 and 1 are numbers, the other words of a switch are booleans. */
function typeOptions(map: ConfigMap, prefix = ""): Record<string, OptionValue> {
  const entries = [...map.entries].flatMap(([name, node]): (readonly [string, OptionValue])[] => {
    if (node.kind === "map") return Object.entries(typeOptions(node, `${prefix}${name}.`));
    return name === "enabled" && prefix === "" ? [] : [[`${prefix}${name}`, typeOption(node)]];
  });
  return Object.fromEntries(entries);
}

function typeOption(node: ConfigNode): OptionValue {
  const text = node.kind === "text" ? node.text : "";
  // What Python's int() takes; a number that is no exact one in JavaScript stays text.
  const number = /^[-+]?\d+(_\d+)*$/.test(text) ? Number(text.replaceAll("_", "")) : undefined;
  if (Number.isSafeInteger(number)) return number!;
  return convertSwitch(text) ?? text;
}
