import type { ConfigNode, ConfigPlace } from "./config-node";
import { readSettings } from "./read-settings";
import { Setting, type ReadScope, type SettingOptions, type SettingsOf, type SettingsSchema } from "./setting";
import { SettingError } from "./setting-error";

/** Several values: a YAML list, or text with commas or line ends between them. */
export class ListSetting<Item> extends Setting<readonly Item[]> {
  constructor(
    private readonly item: Setting<Item>,
    options: SettingOptions<readonly Item[]>,
  ) {
    super(options);
  }

  get accepted(): string {
    return `a list, each of which is ${this.item.accepted}`;
  }

  override get emptyValue(): readonly Item[] {
    return [];
  }

  read(node: ConfigNode, scope: ReadScope): readonly Item[] {
    if (node.kind === "map") throw this.refuse(node);
    const items = node.kind === "list" ? node.items : this.#split(node.text, node, scope);
    return items.map((item) => this.item.read(item, scope));
  }

  override write(value: readonly Item[]): string {
    return value.map((item) => this.item.write(item)).join(", ");
  }

  #split(text: string, node: ConfigNode, scope: ReadScope): ConfigNode[] {
    const parts = text.split(/[,\n]/).map((part) => part.trim());
    if (parts.includes("")) scope.problems.warn(node.place, "a comma has nothing behind or before it; it is ignored");
    return parts.filter((part) => part !== "").map((part) => ({ kind: "text", text: part, place: node.place }));
  }
}

/** A group of settings, each with its own type. In INI its members are written as `group.member`. */
export class GroupSetting<Schema extends SettingsSchema> extends Setting<SettingsOf<Schema>> {
  readonly accepted = "a group of settings";

  constructor(
    readonly members: Schema,
    options: SettingOptions<SettingsOf<Schema>>,
  ) {
    super(options);
  }

  read(node: ConfigNode, scope: ReadScope): SettingsOf<Schema> {
    if (node.kind !== "map") throw this.refuse(node);
    return readSettings(this.members, node, scope);
  }

  /** Its members may have defaults. */
  override readAbsent(place: ConfigPlace, scope: ReadScope): SettingsOf<Schema> {
    return readSettings(this.members, { kind: "map", entries: new Map(), place }, scope);
  }
}

/** Any names, with values of one type. */
export class DictSetting<Item> extends Setting<ReadonlyMap<string, Item>> {
  readonly accepted = "names with values";

  constructor(
    private readonly item: Setting<Item>,
    options: SettingOptions<ReadonlyMap<string, Item>>,
  ) {
    super(options);
  }

  override get emptyValue(): ReadonlyMap<string, Item> {
    return new Map();
  }

  read(node: ConfigNode, scope: ReadScope): ReadonlyMap<string, Item> {
    if (node.kind !== "map") throw this.refuse(node);
    return new Map([...node.entries].map(([name, value]) => [name, this.#readItem(name, value, scope)]));
  }

  #readItem(name: string, value: ConfigNode, scope: ReadScope): Item {
    try {
      return this.item.read(value, scope);
    } catch (error) {
      if (!(error instanceof SettingError)) throw error;
      throw new SettingError(`has "${name}", which ${error.problem}`, error.place ?? value.place);
    }
  }
}
