import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseIni } from "../config/ini-document";
import { readConfigText } from "../config/schema/config-file-text";

/** A value of a configuration file: a switch, a whole number, or text; several where a name stands more than once. */
export type ConfigValue = boolean | number | string | readonly ConfigValue[];

/** What a module's file says: the values of its own section, and other sections as members. */
export type ModuleConfig = Readonly<Record<string, ConfigValue | Readonly<Record<string, ConfigValue>>>>;

/**
 * Reads <folder>/<module>.cfg, an INI file: [module] holds the module's values, each other section becomes a member with its values. A
 * file that does not exist says nothing.
 *
 * @param folder undefined when there is none
 * @throws ConfigError for what is no INI file, with the line
 */
export function readModuleConfig(folder: string | undefined, module: string): ModuleConfig {
  const file = folder === undefined ? undefined : join(folder, `${module}.cfg`);
  if (file === undefined || !existsSync(file)) return {};
  const config: Record<string, ConfigValue | Record<string, ConfigValue>> = Object.create(null) as never;
  for (const section of parseIni(readConfigText(file), file)) {
    const values: Record<string, ConfigValue> = Object.create(null) as never;
    for (const { key, value } of section.entries) {
      const read = readValue(value.map(({ text }) => text).join("\n"));
      const before = values[key];
      values[key] = before === undefined ? read : [...(Array.isArray(before) ? before : [before]), read];
    }
    if (section.name === module) Object.assign(config, values);
    else config[section.name] = values;
  }
  return { ...config };
}

function readValue(text: string): ConfigValue {
  if (/^(yes|true|on)$/i.test(text)) return true;
  if (/^(no|false|off)$/i.test(text)) return false;
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  return /^"[^"]*"$|^'[^']*'$/.test(text) ? text.slice(1, -1) : text;
}
