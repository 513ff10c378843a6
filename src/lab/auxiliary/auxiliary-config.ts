import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ConfigError } from "../../config/errors";
import { ConfigWarning } from "../../config/config-warning";
import { type IniEntry, type IniSection, parseIni } from "../../config/ini-document";
import { findNearestName } from "../../config/nearest-name";
import { readConfigText } from "../../config/schema/config-file";
import { ConfigProblems } from "../../config/schema/config-problems";
import { readIniSection } from "../../config/schema/ini-file";
import { readSettings } from "../../config/schema/read-settings";
import type { SettingsSchema } from "../../config/schema/settings-schema";
import { SettingValues } from "../../config/setting-values";
import type { OptionValue } from "./auxiliary";

/** One section of conf/auxiliary.conf. */
export interface AuxiliarySection {
  readonly enabled: boolean;
  /** As they stand in the file, without `enabled`. */
  readonly options: Readonly<Record<string, OptionValue>>;
  /** 1-based. */
  readonly line: number;
}

interface ReadSection extends AuxiliarySection {
  readonly source: IniSection;
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
   * @returns the values; undefined where there is a mistake
   */
  readOptions(name: string, settings: SettingsSchema, problems: ConfigProblems): Record<string, unknown> {
    const { source, enabled } = this.sections.get(name)!;
    const map = readIniSection(source, this.file, problems);
    // The file is in the folder conf of the lab.
    const folder = dirname(dirname(resolve(this.file)));
    return { ...readSettings(settings, map, { problems, folder, checksSystem: enabled }, ["enabled"]) };
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
    let sections: IniSection[];
    try {
      sections = parseIni(readConfigText(this.file), this.file);
    } catch (error) {
      return problems.add(error);
    }
    for (const section of sections) {
      try {
        this.add(section);
      } catch (error) {
        problems.add(error);
      }
    }
  }

  private add(source: IniSection): void {
    const { name, line, entries } = source;
    const earlier = this.sections.get(name);
    if (earlier !== undefined) {
      const problem = `[${name}] is there already, in line ${earlier.line}; put both into one`;
      throw new ConfigError(this.file, line, problem);
    }
    const enabled = entries.find((entry) => entry.key === "enabled");
    this.sections.set(name, {
      enabled: enabled !== undefined && new SettingValues(this.file).getBoolean(enabled),
      options: typeOptions(entries.filter((entry) => entry !== enabled)),
      line,
      source,
    });
  }
}

/** Types the values as the ancestors did: 0 and 1 are numbers, the other words of a switch are booleans (CAPE's Config). */
function typeOptions(entries: readonly IniEntry[]): Record<string, OptionValue> {
  return Object.fromEntries(
    entries.map(({ key, value }) => {
      const text = value.map((line) => line.text).join("\n");
      if (/^-?\d+$/.test(text) && Number.isSafeInteger(Number(text))) return [key, Number(text)];
      if (/^(yes|on|true)$/i.test(text)) return [key, true];
      if (/^(no|off|false)$/i.test(text)) return [key, false];
      return [key, text];
    }),
  );
}
