import type { ConfigNode, ConfigPlace } from "./config-node";
import type { ConfigProblems } from "./config-problems";
import { SettingError } from "./setting-error";

/** What every setting can be told about itself. */
export interface SettingOptions<Value> {
  /** What it is, for people: a comment in the template. */
  readonly description?: string;
  /** The value when the file has none. */
  readonly default?: Value;
  /** A value for the template, where there is no default. */
  readonly example?: Value;
  /** false: it may be left out, and is undefined then. A setting with a default may always be left out. */
  readonly required?: boolean;
  /** It may be there without a value: undefined, or an empty list. */
  readonly allowEmpty?: boolean;
  /** Shown as ********. */
  readonly sensitive?: boolean;
  /** Other names by which files may call it. */
  readonly aliases?: readonly string[];
}

/** What the type of a setting's value is, by its options. */
export type OptionalValue<Value, Options> = Options extends { readonly default: unknown }
  ? Value
  : Options extends { readonly required: false } | { readonly allowEmpty: true }
    ? Value | undefined
    : Value;

/** Where a value is read. */
export interface ReadScope {
  readonly problems: ConfigProblems;
  /** Where relative paths start. */
  readonly folder: string;
  /** false: values are read, but the system need not fit: a section with `enabled: no`. */
  readonly checksSystem: boolean;
}

/** The type of one value in a configuration file, with its constraints. */
export abstract class Setting<Value> {
  constructor(readonly options: SettingOptions<Value> = {}) {}

  /** What it accepts, as part of a sentence: "a whole number from 1 to 65535". */
  abstract readonly accepted: string;

  /**
   * Reads a value that is there and not empty.
   *
   * @throws SettingError when it is not acceptable
   */
  abstract read(node: ConfigNode, scope: ReadScope): Value;

  /** Writes a value as it would stand in a file, YAML or INI. */
  write(value: Value): string {
    return String(value);
  }

  /** What an allowed empty value is. */
  get emptyValue(): Value | undefined {
    return undefined;
  }

  /**
   * Reads what it is when the file does not have it and it has no default; undefined here.
   *
   * @param _place the map in which it could stand
   */
  readAbsent(_place: ConfigPlace, _scope: ReadScope): Value | undefined {
    return undefined;
  }

  /** Gets the text of a node. Throws SettingError for a list or a map. */
  protected getText(node: ConfigNode): string {
    if (node.kind === "text") return node.text;
    const what = node.kind === "list" ? "a list" : "a group of values";
    throw new SettingError(`is ${what}; it must be ${this.accepted}`, node.place);
  }

  /** Makes the error for a text that is not accepted. */
  protected refuse(node: ConfigNode, reason = ""): SettingError {
    const shown = this.options.sensitive ? "********" : JSON.stringify(node.kind === "text" ? node.text : node.kind);
    return new SettingError(`is ${shown}${reason}; it must be ${this.accepted}`, node.place);
  }
}

/** Settings by their names. */
export type SettingsSchema = Readonly<Record<string, Setting<unknown>>>;

/** The values of settings, by their names. */
export type SettingsOf<Schema extends SettingsSchema> = {
  readonly [Name in keyof Schema]: Schema[Name] extends Setting<infer Value> ? Value : never;
};
