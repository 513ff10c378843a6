import { ConfigError } from "../errors";
import { type IniEntry, type IniSection, parseIni } from "../ini-document";
import { readConfigText } from "./config-file";
import type { ConfigMap, ConfigNode, ConfigPlace } from "./config-node";
import type { ConfigProblems } from "./config-problems";

interface OpenMap extends ConfigMap {
  readonly entries: Map<string, ConfigNode>;
}

/**
 * Reads INI files that lie over each other: a later file's value replaces that of an earlier one. Names of settings are
 * taken in lower case, `group.member` is a member of a group, `%(ENV:NAME)s` is a variable of the environment, and
 * quotes around a value are no part of it.
 *
 * @param files from the lowest layer up; all exist
 * @param problems receives what is wrong; a line with a mistake is left out
 * @returns the sections
 */
export function readIniFiles(files: readonly string[], problems: ConfigProblems): ConfigMap {
  const root: OpenMap = { kind: "map", entries: new Map(), place: { file: files[0] ?? "", line: 1 } };
  for (const file of files) {
    try {
      addFile(root, file, problems);
    } catch (error) {
      problems.add(error);
    }
  }
  return root;
}

function addFile(root: OpenMap, file: string, problems: ConfigProblems): void {
  const lines = new Map<string, number>();
  for (const section of parseIni(readConfigText(file), file)) {
    const place = { file, line: section.line };
    const earlier = lines.get(section.name);
    if (earlier !== undefined) {
      problems.error(place, `[${section.name}] stands in line ${earlier} already; put its settings there`);
    }
    lines.set(section.name, section.line);
    addSection(getMap(root, section.name, place), section, file, problems);
  }
}

/**
 * Reads one section alone, in the same manner.
 *
 * @param problems receives what is wrong; a line with a mistake is left out
 */
export function readIniSection(section: IniSection, file: string, problems: ConfigProblems): ConfigMap {
  const map: OpenMap = { kind: "map", entries: new Map(), place: { file, line: section.line } };
  addSection(map, section, file, problems);
  return map;
}

function addSection(map: OpenMap, section: IniSection, file: string, problems: ConfigProblems): void {
  const own = new Set<string>();
  for (const entry of section.entries) {
    const name = entry.key.toLowerCase();
    if (own.has(name)) problems.error({ file, line: entry.line }, `"${name}" is set twice in [${section.name}]`);
    own.add(name);
    addEntry(map, name, entry, file, problems);
  }
}

function addEntry(section: OpenMap, name: string, entry: IniEntry, file: string, problems: ConfigProblems): void {
  const place = { file, line: entry.line };
  const [group, member] = /^([^.]+)\.(.+)$/.exec(name)?.slice(1) ?? [];
  const map = group === undefined ? section : getMap(section, group, place);
  try {
    const text = entry.value.map((line) => unquote(expand(line.text, { file, line: line.line }))).join("\n");
    map.entries.set(member ?? name, { kind: "text", text, place });
  } catch (error) {
    problems.add(error);
  }
}

function getMap(parent: OpenMap, name: string, place: ConfigPlace): OpenMap {
  const known = parent.entries.get(name);
  if (known?.kind === "map") return known as OpenMap;
  const map: OpenMap = { kind: "map", entries: new Map(), place };
  parent.entries.set(name, map);
  return map;
}

function expand(text: string, place: ConfigPlace): string {
  return text.replaceAll(/%\(ENV:([^)]*)\)s/gi, (_, name: string) => {
    const value = process.env[name];
    if (value === undefined) {
      throw new ConfigError(
        place.file,
        place.line,
        `the environment has no variable ${name}; set it, or write a value`,
      );
    }
    return value;
  });
}

function unquote(text: string): string {
  return /^"[^"]*"$|^'[^']*'$/.test(text) ? text.slice(1, -1) : text;
}
