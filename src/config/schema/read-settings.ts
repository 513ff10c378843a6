import type { z } from "zod";
import { SettingError } from "../errors";
import { findNearestName } from "../nearest-name";
import type { ConfigMap, ConfigNode, ConfigPlace } from "./config-node";
import { splitList } from "./setting-list";
import {
  convertSwitch,
  describeAccepted,
  examineSetting,
  getInputType,
  isToldByAccepted,
  type ReadScope,
  SETTING_WORDS,
  type SettingsOf,
  type SettingsSchema,
} from "./settings-schema";

/**
 * Reads the values of all settings of a schema. Every mistake is added to the scope's problems, and the value is the default then,
 * where there is one; an unknown name is a warning with the nearest known one.
 *
 * @param map the names and values of the file
 * @param scope `enabled: no` in the map turns the checks of the system off for it
 * @param others names that belong to somebody else
 */
export function readSettings<Schema extends SettingsSchema>(
  schema: Schema,
  map: ConfigMap,
  scope: ReadScope,
  others: readonly string[] = [],
): SettingsOf<Schema> {
  const own = isEnabled(schema, map) ? scope : { ...scope, checksSystem: false };
  const members = findMembers(schema, map, own, others);
  const values = members.map(({ name, ...member }) => [name, new SettingReader(own).read(member)] as const);
  return Object.fromEntries(values) as SettingsOf<Schema>;
}

function isEnabled(schema: SettingsSchema, map: ConfigMap): boolean {
  const node = map.entries.get("enabled");
  if (schema.enabled === undefined || node?.kind !== "text") return true;
  return convertSwitch(node.text) !== false;
}

/** A setting and its value in the file. */
interface Member {
  readonly schema: z.ZodType;
  /** The name in the file: it may be an alias. */
  readonly subject: string;
  readonly node: ConfigNode | undefined;
  /** The place of the value; of the map where there is none. */
  readonly place: ConfigPlace;
}

/** Finds the value of each setting in a map, by its name or an alias. Reports settings that are there twice, and unknown ones. */
function findMembers(
  schema: SettingsSchema,
  map: ConfigMap,
  { problems }: ReadScope,
  others: readonly string[],
): (Member & { readonly name: string })[] {
  const used = new Set<string>(others);
  const known: string[] = [];
  const members = Object.entries(schema).map(([name, type]) => {
    const names = [name, ...(examineSetting(type).meta.aliases ?? [])];
    known.push(...names);
    const present = names.filter((candidate) => map.entries.has(candidate));
    present.forEach((candidate) => used.add(candidate));
    if (present.length > 1) {
      problems.error(map.entries.get(present[1]!)!.place, `"${present.join('" and "')}" mean the same; keep one`);
    }
    const node = present[0] === undefined ? undefined : map.entries.get(present[0]);
    return { name, schema: type, subject: `"${present[0] ?? name}"`, node, place: node?.place ?? map.place };
  });
  for (const [name, node] of map.entries) {
    if (used.has(name) || (node.kind === "text" && node.isInherited === true)) continue;
    const nearest = findNearestName(name, known);
    const hint = nearest === undefined ? `known are ${known.join(", ")}` : `did you mean "${nearest}"?`;
    problems.warn(node.place, `"${name}" is no known setting here and is ignored; ${hint}`);
  }
  return members;
}

type Path = readonly PropertyKey[];

/** Reads one setting: turns the file's text into what its type of zod takes, and has zod check that. */
class SettingReader {
  /** The parts of the setting by their paths. */
  readonly #parts = new Map<string, Member>();
  /** The paths of the parts whose mistakes are reported already. */
  readonly #failed: string[] = [];

  constructor(private readonly scope: ReadScope) {}

  read(member: Member): unknown {
    const { schema } = member;
    const value = this.#convert(member, []);
    const parsed = schema.safeParse(value);
    if (parsed.success && this.#failed.length === 0) return parsed.data;
    for (const issue of parsed.error?.issues ?? []) this.#report(issue);
    return [undefined, {}].map((nothing) => schema.safeParse(nothing)).find(({ success }) => success)?.data;
  }

  #convert(member: Member, path: Path): unknown {
    this.#parts.set(toKey(path), member);
    const { schema, node, place } = member;
    const { inner, definition, isOptional } = getInputType(schema);
    const { type } = definition;
    const map = node ?? { kind: "map", entries: new Map<string, ConfigNode>(), place };
    // The members of a group may have defaults where the group is not there.
    if (type === "object" && map.kind === "map" && (node !== undefined || inner === schema)) {
      const members = findMembers(definition.shape!, map, this.scope, []);
      return Object.fromEntries(members.map(({ name, ...each }) => [name, this.#convert(each, [...path, name])]));
    }
    if (node === undefined) return undefined;
    if (type === "array" && node.kind !== "map") {
      const items = node.kind === "list" ? node.items : this.#split(node.text, place);
      return items.map((item, index) =>
        this.#convert({ ...member, schema: definition.element!, node: item, place: item.place }, [...path, index]),
      );
    }
    if (type === "record" && (node.kind === "map" || isEmpty(node))) {
      const entries = node.kind === "map" ? [...node.entries] : [];
      return Object.fromEntries(entries.map(([name, value]) => [name, this.#convertEntry(member, name, value, path)]));
    }
    if (isEmpty(node)) {
      if (isOptional || examineSetting(schema).isOptional) return undefined;
      return this.#fail(member, path, `has no value; it must be ${describeAccepted(schema)}`);
    }
    if (node.kind !== "text" || (type === "string" && node.text.includes("\n"))) {
      return this.#fail(member, path, `is ${show(member)}; it must be ${describeAccepted(schema)}`);
    }
    try {
      return convertText(inner, node.text, this.scope);
    } catch (error) {
      if (!(error instanceof SettingError)) throw error;
      const problem = error.problem ?? `is ${show(member)}; it must be ${describeAccepted(schema)}`;
      return this.#fail(member, path, problem);
    }
  }

  #convertEntry(member: Member, name: string, node: ConfigNode, path: Path): unknown {
    const subject = `${member.subject} has "${name}", which`;
    const schema = getInputType(member.schema).definition.valueType!;
    return this.#convert({ subject, schema, node, place: node.place }, [...path, name]);
  }

  #split(text: string, place: ConfigPlace): ConfigNode[] {
    const { items, hasEmpty } = splitList(text);
    if (hasEmpty) this.scope.problems.warn(place, "a comma has nothing behind or before it; it is ignored");
    return items.map((item) => ({ kind: "text", text: item, place }));
  }

  #fail({ subject, place }: Member, path: Path, problem: string): undefined {
    this.#failed.push(toKey(path));
    this.scope.problems.error(place, `${subject} ${problem}`);
  }

  #report(issue: z.core.$ZodIssue): void {
    const key = toKey(issue.path);
    if (this.#failed.some((failed) => key.startsWith(failed))) return;
    const lengths = issue.path.map((_, index) => issue.path.length - index);
    const member = [...lengths, 0].map((length) => this.#parts.get(toKey(issue.path.slice(0, length)))).find(Boolean)!;
    const { subject, node, place, schema } = member;
    const accepted = describeAccepted(schema);
    let problem = `is ${show(member)}; it must be ${accepted}`;
    if (node === undefined) problem = `is missing; it must be ${accepted}`;
    else if (!isToldByAccepted(issue)) problem = `is ${show(member)}: ${issue.message}`;
    this.scope.problems.error(place, `${subject} ${problem}`);
  }
}

/** Ends in a separator, so that a key begins with those of the parts around it and with no other. */
function toKey(path: Path): string {
  return path.map((part) => `${String(part)}\0`).join("");
}

/**
 * Turns text into what a type of zod takes. Text that is nothing of that stays text, which zod refuses.
 *
 * @throws SettingError when a word of rebox refuses it, or it is nothing of a union
 */
function convertText(schema: z.ZodType, text: string, scope: ReadScope): unknown {
  const { inner, definition } = getInputType(schema);
  const word = SETTING_WORDS.get(inner);
  if (word !== undefined) return word.read(text, scope);
  if (definition.type === "boolean") return convertSwitch(text) ?? text;
  if (definition.type === "number") return /^[-+]?(\d+(\.\d+)?|\.\d+)$/.test(text) ? Number(text) : text;
  if (definition.type === "bigint") return /^[-+]?\d+$/.test(text) ? BigInt(text) : text;
  if (definition.type === "literal") return definition.values!.find((value) => String(value) === text) ?? text;
  if (definition.type !== "union") return text;
  for (const option of definition.options!) {
    try {
      const value = convertText(option, text, scope);
      if (option.safeParse(value).success) return value;
    } catch (error) {
      if (!(error instanceof SettingError)) throw error;
    }
  }
  throw new SettingError();
}

function show({ node, schema }: Member): string {
  if (examineSetting(schema).meta.secret === true) return "********";
  if (node?.kind === "text") return JSON.stringify(node.text);
  return node?.kind === "list" ? "a list" : "a group of values";
}

function isEmpty(node: ConfigNode): boolean {
  if (node.kind === "text") return node.text === "";
  return node.kind === "list" ? node.items.length === 0 : node.entries.size === 0;
}
