import { existsSync, readFileSync } from "node:fs";
import { ConfigError } from "../config/config-error";
import { ConfigWarning } from "../config/config-warning";
import { type IniEntry, parseIni } from "../config/ini-document";
import { SettingValues } from "../config/setting-values";
import type { OptionValue } from "./auxiliary";

/** One section of conf/auxiliary.conf. */
export interface AuxiliarySection {
  readonly enabled: boolean;
  readonly options: Readonly<Record<string, OptionValue>>;
  /** 1-based. */
  readonly line: number;
}

/** conf/auxiliary.conf: which auxiliary modules are used, and with what options. */
export class AuxiliaryConfig {
  private readonly sections = new Map<string, AuxiliarySection>();

  /** @param file the name to use in warnings */
  private constructor(readonly file: string) {}

  /**
   * Reads the file. One that does not exist enables nothing.
   *
   * @throws ConfigError for a file that is not INI, a section that appears twice, or a value of `enabled` that is not a switch
   */
  static load(file: string): AuxiliaryConfig {
    const config = new AuxiliaryConfig(file);
    if (!existsSync(file)) return config;
    const values = new SettingValues(file);
    for (const { name, line, entries } of parseIni(readFileSync(file, "utf8"), file)) {
      const earlier = config.sections.get(name);
      if (earlier !== undefined) {
        throw new ConfigError(file, line, `[${name}] is there already, in line ${earlier.line}; put both into one`);
      }
      const enabled = entries.find((entry) => entry.key === "enabled");
      config.sections.set(name, {
        enabled: enabled !== undefined && values.getBoolean(enabled),
        options: readOptions(entries.filter((entry) => entry !== enabled)),
        line,
      });
    }
    return config;
  }

  /** Returns the section of a module, or undefined when there is none: the names must be the same in every letter. */
  find(name: string): AuxiliarySection | undefined {
    return this.sections.get(name);
  }

  /** Returns a warning for each section that no module has, with the module that was probably meant. */
  findUnused(names: readonly string[]): ConfigWarning[] {
    return [...this.sections]
      .filter(([section]) => !names.includes(section))
      .map(([section, { line }]) => {
        const meant = names.find((name) => name.toLowerCase() === section.toLowerCase());
        const hint = meant === undefined ? `modules are: ${names.join(", ") || "none"}` : `write it as [${meant}]`;
        return new ConfigWarning(this.file, line, `there is no auxiliary module [${section}]; ${hint}`);
      });
  }
}

/** Types the values as the ancestors did: 0 and 1 are numbers, the other words of a switch are booleans (CAPE's Config). */
function readOptions(entries: readonly IniEntry[]): Record<string, OptionValue> {
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
