import { readConfigText } from "./config-file";
import type { ConfigMap, ConfigNode, ConfigPlace } from "./config-node";
import type { ConfigProblems } from "./config-problems";
import { interpolate } from "./ini-interpolation";
import { type IniOption, type IniSyntaxSection, parseIniSyntax } from "./ini-syntax";

interface OpenMap extends ConfigMap {
  readonly entries: Map<string, ConfigNode>;
}

/** A section over all files: where it stands first, and its options. */
interface LayeredSection {
  readonly place: ConfigPlace;
  readonly options: Map<string, IniOption>;
}

/** The content of INI files: the sections by their names, and the options of [DEFAULT], which each section has already. */
export interface IniFiles extends ConfigMap {
  readonly defaults: ReadonlyMap<string, ConfigPlace>;
}

/**
 * Reads INI files that lie over each other: a later file's value replaces that of an earlier one. They are read as CAPE
 * reads them, by Python's ConfigParser. Beyond that, `group.member` is a member of a group.
 *
 * @param files from the lowest layer up; all exist
 * @param problems receives what is wrong, and a warning for what looks like a comment or like quotes and is neither; an
 *   option with a mistake is left out
 */
export function readIniFiles(files: readonly string[], problems: ConfigProblems): IniFiles {
  const sections = new Map<string, LayeredSection>();
  const defaults = new Map<string, IniOption>();
  for (const file of files) {
    try {
      const syntax = parseIniSyntax(readConfigText(file), file, problems);
      for (const section of syntax.sections.values()) addLayer(sections, section, file);
      for (const [name, option] of syntax.defaults?.options ?? []) defaults.set(name, option);
    } catch (error) {
      problems.add(error);
    }
  }
  const entries = new Map<string, ConfigNode>();
  const reader = new SectionReader(defaults, problems);
  for (const [name, section] of sections) entries.set(name, reader.read(section));
  const places = [...defaults].map(([name, { file, line }]) => [name, { file, line }] as const);
  return { kind: "map", entries, place: { file: files[0] ?? "", line: 1 }, defaults: new Map(places) };
}

function addLayer(sections: Map<string, LayeredSection>, section: IniSyntaxSection, file: string): void {
  const known = sections.get(section.name) ?? { place: { file, line: section.line }, options: new Map() };
  sections.set(section.name, known);
  for (const [name, option] of section.options) known.options.set(name, option);
}

class SectionReader {
  /** Mistakes of [DEFAULT] show in each section; one report is enough. */
  readonly #reported = new Set<string>();

  constructor(
    private readonly defaults: ReadonlyMap<string, IniOption>,
    private readonly problems: ConfigProblems,
  ) {}

  read({ place, options }: LayeredSection): ConfigMap {
    const all = new Map([...this.defaults, ...options]);
    const map: OpenMap = { kind: "map", entries: new Map(), place };
    // Groups come last: where a group's name is an option itself, "group.member" is one name, and none hides the other.
    const isMember = ([name]: readonly [string, IniOption]) => Number(name.includes("."));
    for (const [name, option] of [...all].toSorted((one, other) => isMember(one) - isMember(other))) {
      const isInherited = !options.has(name);
      if (!isInherited) this.#warn(option);
      try {
        addText(map, name, interpolate(option, all), option, isInherited);
      } catch (error) {
        const message = String(error);
        if (!isInherited || !this.#reported.has(message)) this.problems.add(error);
        this.#reported.add(message);
      }
    }
    return map;
  }

  #warn({ name, file, value }: IniOption): void {
    for (const { text, line } of value) {
      const mark = findCommentMark(text);
      if (mark !== undefined) {
        const problem = `the "${mark}" behind a blank is part of "${name}", as in CAPE; put a comment on a line of its own`;
        this.problems.warn({ file, line }, problem);
      }
      if (/^"[^"]*"$|^'[^']*'$/.test(text)) {
        this.problems.warn({ file, line }, `the quotes are part of "${name}", as in CAPE; leave them out`);
      }
    }
  }
}

/** Finds what somebody may have meant as the beginning of a comment: a # or ; behind a blank and outside quotes. */
function findCommentMark(text: string): string | undefined {
  return /^(?:[^"#;]|"[^"]*"|(?<!\s)[#;])*?\s([#;])/.exec(text)?.[1];
}

function addText(section: OpenMap, name: string, text: string, option: IniOption, isInherited: boolean): void {
  const place = { file: option.file, line: option.line };
  const node: ConfigNode = { kind: "text", text, place, ...(isInherited && { isInherited }) };
  const [group, member] = /^([^.]+)\.(.+)$/.exec(name)?.slice(1) ?? [];
  const known = group === undefined ? undefined : section.entries.get(group);
  if (group === undefined || member === undefined || known?.kind === "text") section.entries.set(name, node);
  else getMap(section, group, place).entries.set(member, node);
}

function getMap(parent: OpenMap, name: string, place: ConfigPlace): OpenMap {
  const known = parent.entries.get(name);
  if (known?.kind === "map") return known as OpenMap;
  const map: OpenMap = { kind: "map", entries: new Map(), place };
  parent.entries.set(name, map);
  return map;
}
