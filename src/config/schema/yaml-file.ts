import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { ConfigError } from "../errors";
import { readConfigText } from "./config-file";
import type { ConfigMap, ConfigNode, ConfigPlace } from "./config-node";
import type { ConfigProblems } from "./config-problems";

/** Deeper files are a mistake, or an anchor that holds itself. */
const DEEPEST = 16;

/**
 * Reads a YAML file. Values are taken as they are written: `1.10` stays "1.10", and `52:54:00:12:34:56` is no number.
 *
 * @param problems receives what is wrong
 * @returns the file's names with their values; none when the file is empty or cannot be parsed
 */
export function readYamlFile(file: string, problems: ConfigProblems): ConfigMap {
  const place = { file, line: 1 };
  const empty: ConfigMap = { kind: "map", entries: new Map(), place };
  try {
    const lines = new LineCounter();
    const document = parseDocument(readConfigText(file), { lineCounter: lines, prettyErrors: false });
    for (const error of document.errors) {
      const { line, col } = lines.linePos(error.pos[0]);
      problems.error({ file, line }, `this is no YAML (column ${col}): ${error.message}`);
    }
    if (document.errors.length > 0 || document.contents === null) return empty;
    const root = new YamlReader(file, lines, (node) => (isAlias(node) ? node.resolve(document) : node)).read(
      document.contents as Node,
      place,
      0,
    );
    if (root.kind === "map") return root;
    if (root.kind === "list" || root.text !== "") problems.error(place, 'a file of settings begins with "name: value"');
  } catch (error) {
    problems.add(error);
  }
  return empty;
}

class YamlReader {
  constructor(
    private readonly file: string,
    private readonly lines: LineCounter,
    private readonly resolve: (node: Node) => Node | undefined,
  ) {}

  read(node: Node | null, outer: ConfigPlace, depth: number): ConfigNode {
    const place = node?.range ? this.#placeOf(node) : outer;
    if (depth > DEEPEST) throw new ConfigError(this.file, outer.line, `more than ${DEEPEST} levels; is this intended?`);
    const target = node === null ? null : this.resolve(node);
    if (target === undefined) throw new ConfigError(this.file, place.line, "there is no anchor of this name above");
    if (isMap(target)) {
      const entries = new Map(
        target.items.map(({ key, value }) => {
          const name = this.#getName(key as Node, place);
          // A group is where its name is; a value may stand on a line of its own, below it.
          return [name.text, { ...this.read(value as Node | null, name.place, depth + 1), place: name.place }];
        }),
      );
      return { kind: "map", entries, place };
    }
    if (isSeq(target)) {
      return { kind: "list", items: target.items.map((item) => this.read(item as Node, place, depth + 1)), place };
    }
    return { kind: "text", text: getText(target), place };
  }

  #getName(key: Node, outer: ConfigPlace): { text: string; place: ConfigPlace } {
    const place = key.range ? this.#placeOf(key) : outer;
    if (!isScalar(key)) throw new ConfigError(this.file, place.line, "a name must be plain text");
    return { text: getText(key), place };
  }

  #placeOf(node: Node): ConfigPlace {
    return { file: this.file, line: this.lines.linePos(node.range![0]).line };
  }
}

function getText(node: Node | null): string {
  if (!isScalar(node) || node.value === null || node.value === undefined) return "";
  return typeof node.value === "string" ? node.value : (node.source ?? String(node.value));
}
