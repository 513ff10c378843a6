import { DictSetting, GroupSetting, ListSetting } from "./composite-settings";
import { type NetworkInterfaceOptions, NetworkInterfaceSetting } from "./network-interface-setting";
import { PATH_KINDS, type PathOptions, PathSetting } from "./path-setting";
import type { OptionalValue, Setting, SettingOptions, SettingsOf, SettingsSchema } from "./setting";
import {
  BooleanSetting,
  HttpUrlSetting,
  type IntOptions,
  IntSetting,
  IpAddressSetting,
  MacAddressSetting,
  type StringOptions,
  StringSetting,
} from "./text-settings";

/** Makes a setting whose type says whether its value may be missing. */
function typed<Value, Options>(setting: Setting<Value>): Setting<OptionalValue<Value, Options>> {
  return setting as unknown as Setting<OptionalValue<Value, Options>>;
}

/** Makes the typed settings of a module's configuration. */
export const config = {
  string: <const Options extends StringOptions>(options: Options) => typed<string, Options>(new StringSetting(options)),
  int: <const Options extends IntOptions>(options: Options) => typed<number, Options>(new IntSetting(options)),
  boolean: <const Options extends SettingOptions<boolean>>(options: Options) =>
    typed<boolean, Options>(new BooleanSetting(options)),
  filePath: <const Options extends PathOptions>(options: Options) =>
    typed<string, Options>(new PathSetting(PATH_KINDS.file, options)),
  directoryPath: <const Options extends PathOptions>(options: Options) =>
    typed<string, Options>(new PathSetting(PATH_KINDS.folder, options)),
  unixSocketPath: <const Options extends PathOptions>(options: Options) =>
    typed<string, Options>(new PathSetting(PATH_KINDS.socket, options)),
  networkInterface: <const Options extends NetworkInterfaceOptions>(options: Options) =>
    typed<string, Options>(new NetworkInterfaceSetting(options)),
  httpUrl: <const Options extends SettingOptions<string>>(options: Options) =>
    typed<string, Options>(new HttpUrlSetting(options)),
  ipAddress: <const Options extends SettingOptions<string>>(options: Options) =>
    typed<string, Options>(new IpAddressSetting(options)),
  macAddress: <const Options extends SettingOptions<string>>(options: Options) =>
    typed<string, Options>(new MacAddressSetting(options)),
  /** Several values of one type; an allowed empty list is []. */
  list: <Item>(item: Setting<Item>, options: SettingOptions<readonly Item[]> = {}): Setting<readonly Item[]> =>
    new ListSetting(item, options),
  /** Any names, each with a value of one type. */
  dict: <Item>(
    item: Setting<Item>,
    options: SettingOptions<ReadonlyMap<string, Item>> = {},
  ): Setting<ReadonlyMap<string, Item>> => new DictSetting(item, options),
  /** Several groups of the same settings. */
  dictList: <Schema extends SettingsSchema>(
    members: Schema,
    options: SettingOptions<readonly SettingsOf<Schema>[]> = {},
  ): Setting<readonly SettingsOf<Schema>[]> => new ListSetting(new GroupSetting(members, {}), options),
  /** A group of settings with names of its own. */
  group: <Schema extends SettingsSchema>(
    members: Schema,
    options: SettingOptions<SettingsOf<Schema>> = {},
  ): Setting<SettingsOf<Schema>> => new GroupSetting(members, options),
};
