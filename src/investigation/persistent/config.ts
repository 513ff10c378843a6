import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseIni } from "../../config/ini-document";
import { readConfigText } from "../../config/schema/config-file";

/** The times of the supervision of a persistent module, in milliseconds. */
export interface PersistentTimes {
  /** The time from one ping to the next. */
  readonly pingMs: number;
  /** The time after which an instance that does not answer is ended. */
  readonly pongMs: number;
  /** The time from the end of an instance to the start of the next. */
  readonly restartMs: number;
  /** The time that an instance has to end after a stop message. */
  readonly endMs: number;
}

/** MIG's times. */
export const PERSISTENT_TIMES: PersistentTimes = { pingMs: 10_000, pongMs: 30_000, restartMs: 10_000, endMs: 2_000 };

/** A value of a configuration file: a switch, a whole number, or text; a list for a name that stands more than once. */
export type ConfigValue = boolean | number | string | readonly ConfigValue[];

/** The content of a module's file: the values of its own section, and other sections as members. */
export type ModuleConfig = Readonly<Record<string, ConfigValue | Readonly<Record<string, ConfigValue>>>>;

/**
 * Reads <folder>/<module>.cfg, an INI file: [module] holds the module's values, each other section becomes a member with its values. A
 * file that does not exist gives no values.
 *
 * @param folder the folder of the files; undefined for none
 * @throws ConfigError with the line for a file that is no INI file
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
