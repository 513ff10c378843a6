/** The place of something in a configuration file. */
export interface ConfigPlace {
  /** As the user named it. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
}

/** A value as its text, whatever the file's format; "" when there is none. */
export interface ConfigText {
  readonly kind: "text";
  readonly text: string;
  readonly place: ConfigPlace;
  /** It comes from [DEFAULT] of an INI file, so it need not mean anything where it is. */
  readonly isInherited?: true;
}

/** A list of values. */
export interface ConfigList {
  readonly kind: "list";
  readonly items: readonly ConfigNode[];
  readonly place: ConfigPlace;
}

/** Named values; the place of each is that of its name. */
export interface ConfigMap {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, ConfigNode>;
  readonly place: ConfigPlace;
}

/** The content of a configuration file, the same for INI and YAML: settings read themselves from it. */
export type ConfigNode = ConfigText | ConfigList | ConfigMap;
