import { findNearestName } from "../nearest-name";
import type { ConfigMap, ConfigNode } from "./config-node";
import type { ReadScope, Setting, SettingsOf, SettingsSchema } from "./setting";
import { SettingError } from "./setting-error";

/**
 * Reads the values of all settings of a schema. Every mistake is added to the scope's problems, and the value is
 * undefined then; an unknown name is a warning with the nearest known one.
 *
 * @param map what the file says
 * @param scope `enabled: no` in the map turns the checks of the system off for it
 * @param others names that belong to somebody else
 */
export function readSettings<Schema extends SettingsSchema>(
  schema: Schema,
  map: ConfigMap,
  scope: ReadScope,
  others: readonly string[] = [],
): SettingsOf<Schema> {
  const own = isEnabled(schema, map, scope) ? scope : { ...scope, checksSystem: false };
  const values: Record<string, unknown> = {};
  const used = new Set<string>(others);
  for (const [name, setting] of Object.entries(schema)) {
    const names = [name, ...(setting.options.aliases ?? [])];
    const present = names.filter((candidate) => map.entries.has(candidate));
    present.forEach((candidate) => used.add(candidate));
    if (present.length > 1) {
      own.problems.error(map.entries.get(present[1]!)!.place, `"${present.join('" and "')}" mean the same; keep one`);
    }
    const found = present[0];
    const node = found === undefined ? undefined : map.entries.get(found);
    values[name] = node === undefined ? readMissing(name, setting, map, own) : readOne(found!, setting, node, own);
  }
  warnUnknown(schema, map, used, scope);
  return values as SettingsOf<Schema>;
}

function isEnabled(schema: SettingsSchema, map: ConfigMap, scope: ReadScope): boolean {
  const node = map.entries.get("enabled");
  if (schema.enabled === undefined || node === undefined) return true;
  try {
    return schema.enabled.read(node, scope) !== false;
  } catch {
    // Told when the setting itself is read.
    return true;
  }
}

function readMissing(name: string, setting: Setting<unknown>, map: ConfigMap, scope: ReadScope): unknown {
  const { default: value, required = true, allowEmpty } = setting.options;
  const absent = value ?? setting.readAbsent(map.place, scope);
  if (absent !== undefined) return absent;
  if (required) {
    scope.problems.error(map.place, `"${name}" is missing; it must be ${setting.accepted}`);
    return undefined;
  }
  return allowEmpty ? setting.emptyValue : undefined;
}

function readOne(name: string, setting: Setting<unknown>, node: ConfigNode, scope: ReadScope): unknown {
  if (isEmpty(node)) {
    if (setting.options.allowEmpty) return setting.emptyValue;
    scope.problems.error(node.place, `"${name}" has no value; it must be ${setting.accepted}`);
    return undefined;
  }
  try {
    return setting.read(node, scope);
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    scope.problems.error(error.place ?? node.place, `"${name}" ${error.problem}`);
    return undefined;
  }
}

function isEmpty(node: ConfigNode): boolean {
  if (node.kind === "text") return node.text === "";
  return node.kind === "list" ? node.items.length === 0 : node.entries.size === 0;
}

function warnUnknown(schema: SettingsSchema, map: ConfigMap, used: ReadonlySet<string>, scope: ReadScope): void {
  const known = [...Object.keys(schema), ...Object.values(schema).flatMap(({ options }) => options.aliases ?? [])];
  for (const [name, node] of map.entries) {
    if (used.has(name)) continue;
    const nearest = findNearestName(name, known);
    const hint = nearest === undefined ? `known are ${known.join(", ")}` : `did you mean "${nearest}"?`;
    scope.problems.warn(node.place, `"${name}" is no known setting here and is ignored; ${hint}`);
  }
}
