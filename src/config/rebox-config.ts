import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ConfigError } from "./errors";
import { ConfigWarning } from "./config-warning";
import { type IniEntry, type IniSection, parseIni } from "./ini-document";
import { findNearestName } from "./nearest-name";
import { parsePermissions, type ScriptPermissions } from "./script-permissions";
import { PermissionError } from "./errors";
import { splitList } from "./schema/setting-list";
import { SettingValues } from "./setting-values";

/** One line of [MODULES]: a script in module notation, and whether it is to be loaded. */
export interface ModuleSetting {
  readonly name: string;
  readonly enabled: boolean;
  readonly line: number;
}

/** One line of [PERMISSIONS]: what a script may do beyond rebox's own functions. */
export interface PermissionSetting {
  /** Module notation. */
  readonly name: string;
  readonly permissions: ScriptPermissions;
  readonly line: number;
}

/** The settings of a pyrebox.conf. A setting that the file does not have is undefined. */
export interface ReboxConfig {
  /** The file's absolute path. */
  readonly file: string;
  /** Scripts in the file's order, the disabled ones too. */
  readonly modules: readonly ModuleSetting[];
  readonly permissions: readonly PermissionSetting[];
  readonly qemuArgs: readonly string[] | undefined;
  /** The time that one callback may run, in milliseconds. */
  readonly callbackLimitMs: number | undefined;
  /** [VOL] profile: an ISF profile's name or file. */
  readonly volatilityProfile: string | undefined;
  /** [VOL] command: what starts Volatility 3, as words of a shell. */
  readonly volatilityCommand: string | undefined;
  /** [INVESTIGATIONS] start: persistent modules that start with the engine. */
  readonly investigations: readonly string[];
  /** [INVESTIGATIONS] conf: the folder of their MODULE.cfg; an absolute path. */
  readonly investigationConfig: string | undefined;
  /** [INVESTIGATIONS] private: every answer is masked, whoever asks. */
  readonly hasPrivateInvestigations: boolean;
  readonly warnings: readonly ConfigWarning[];
}

/** The longest and the shortest time that a callback may be allowed, in milliseconds. */
export const CALLBACK_LIMIT_RANGE_MS = { minimum: 1, maximum: 3_600_000 } as const;

const MODULE_NAME = /^[\w$-]+(\.[\w$-]+)*$/;

const KNOWN_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ["MODULES", []],
  ["PERMISSIONS", []],
  ["QEMU", ["args"]],
  ["REBOX", ["callback_limit_ms"]],
  ["VOL", ["profile", "command"]],
  ["INVESTIGATIONS", ["start", "conf", "private"]],
]);

/** The sections of PyREBox that have no use here, and what there is in their place. */
const WITHOUT_USE: ReadonlyMap<string, string> = new Map([
  [
    "AGENT",
    "no agent runs in the guest: files are read from its disks, rebox investigate asks questions, and rebox analyze executes programs",
  ],
  [
    "SYMBOL_CACHE",
    "symbols come out of the guest's memory each time, and facts about kernels are kept by their build id without a setting",
  ],
]);

/**
 * Reads a pyrebox.conf.
 *
 * @param path the file; relative to the current folder. Its name is used in errors as given.
 * @returns the settings, with a warning for every section or key that means nothing here
 * @throws ConfigError when the file cannot be read, is not INI, or has a wrong value
 */
export function loadConfig(path: string): ReboxConfig {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    const wording: Record<string, string> = {
      ENOENT: "there is no such file; name an existing one with -c, or leave -c out",
      EISDIR: "this is a folder; name the file in it",
      EACCES: "no permission to read it; check its owner and mode (ls -l)",
    };
    throw new ConfigError(path, undefined, wording[reason] ?? `cannot be read (${reason})`);
  }
  return new ConfigReader(path).read(parseIni(text, path));
}

class ConfigReader {
  private readonly values: SettingValues;
  private readonly modules = new Map<string, ModuleSetting>();
  private readonly permissions = new Map<string, PermissionSetting>();
  private readonly settings = new Map<string, IniEntry>();
  private readonly warnings: ConfigWarning[] = [];

  constructor(private readonly path: string) {
    this.values = new SettingValues(path);
  }

  read(sections: readonly IniSection[]): ReboxConfig {
    for (const section of sections) this.readSection(section);
    const args = this.settings.get("QEMU.args");
    const limit = this.settings.get("REBOX.callback_limit_ms");
    const range = CALLBACK_LIMIT_RANGE_MS;
    const isPrivate = this.settings.get("INVESTIGATIONS.private");
    const folder = this.findText("INVESTIGATIONS.conf", "the folder of MODULE.cfg");
    return {
      file: resolve(this.path),
      modules: [...this.modules.values()],
      permissions: [...this.permissions.values()],
      qemuArgs: args && this.values.getWords(args),
      callbackLimitMs: limit && this.values.getInteger(limit, range.minimum, range.maximum, "milliseconds"),
      volatilityProfile: this.findText("VOL.profile", "a profile's name or file"),
      volatilityCommand: this.findText("VOL.command", "a command that starts Volatility 3"),
      investigations: this.findList("INVESTIGATIONS.start"),
      investigationConfig: folder && resolve(dirname(resolve(this.path)), folder),
      hasPrivateInvestigations: isPrivate !== undefined && this.values.getBoolean(isPrivate),
      warnings: this.warnings,
    };
  }

  private readSection(section: IniSection): void {
    const known = KNOWN_KEYS.get(section.name);
    const instead = WITHOUT_USE.get(section.name);
    if (instead !== undefined) {
      const problem = `[${section.name}] has no effect: ${instead}`;
      this.warnings.push(new ConfigWarning(this.path, section.line, problem));
      return;
    }
    if (known === undefined) {
      const sections = [...KNOWN_KEYS.keys()];
      this.warnUnknown(section.line, "section", `[${section.name}]`, section.name, sections);
      return;
    }
    for (const entry of section.entries) {
      if (section.name === "MODULES") this.readModule(entry);
      else if (section.name === "PERMISSIONS") this.readPermission(entry);
      else if (known.includes(entry.key)) this.keep(`${section.name}.${entry.key}`, entry);
      else this.warnUnknown(entry.line, "key", `"${entry.key}" in [${section.name}]`, entry.key, known);
    }
  }

  private readModule(entry: IniEntry): void {
    this.checkName(entry);
    const enabled = this.values.getBoolean(entry);
    const earlier = this.modules.get(entry.key);
    if (earlier !== undefined) this.warnTwice(entry, earlier.line);
    this.modules.set(entry.key, { name: entry.key, enabled, line: entry.line });
  }

  private readPermission(entry: IniEntry): void {
    this.checkName(entry);
    const text = this.values.getText(entry, 'a list such as "fs:results, net", or * or none');
    const earlier = this.permissions.get(entry.key);
    if (earlier !== undefined) this.warnTwice(entry, earlier.line);
    try {
      const permissions = parsePermissions(text, dirname(resolve(this.path)));
      this.permissions.set(entry.key, { name: entry.key, permissions, line: entry.line });
    } catch (error) {
      if (!(error instanceof PermissionError)) throw error;
      throw new ConfigError(this.path, entry.line, `"${entry.key}": ${error.message}`);
    }
  }

  private checkName(entry: IniEntry): void {
    if (MODULE_NAME.test(entry.key)) return;
    const guess = entry.key
      .replace(/^\.?\/+/, "")
      .replace(/\.[cm]?[tj]s$/, "")
      .replace(/\/+/g, ".");
    const example = MODULE_NAME.test(guess) ? guess : "scripts.my_script";
    const problem = `"${entry.key}" is not a script's name; write its path with dots and without suffix, such as ${example}`;
    throw new ConfigError(this.path, entry.line, problem);
  }

  private keep(name: string, entry: IniEntry): void {
    const earlier = this.settings.get(name);
    if (earlier !== undefined) this.warnTwice(entry, earlier.line);
    this.settings.set(name, entry);
  }

  private findText(name: string, accepted: string): string | undefined {
    const entry = this.settings.get(name);
    return entry && this.values.getText(entry, accepted);
  }

  private findList(name: string): readonly string[] {
    const entry = this.settings.get(name);
    return entry === undefined ? [] : splitList(entry.value.map(({ text }) => text).join("\n")).items;
  }

  private warnTwice(entry: IniEntry, earlierLine: number): void {
    const problem = `"${entry.key}" is set twice; this line wins over line ${earlierLine}`;
    this.warnings.push(new ConfigWarning(this.path, entry.line, problem));
  }

  private warnUnknown(line: number, kind: string, shown: string, name: string, known: readonly string[]): void {
    const nearest = findNearestName(name, known);
    const hint = nearest === undefined ? `known here: ${known.join(", ")}` : `did you mean ${nearest}?`;
    this.warnings.push(new ConfigWarning(this.path, line, `unknown ${kind} ${shown} is ignored; ${hint}`));
  }
}
