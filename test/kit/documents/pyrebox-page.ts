import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../project";

/** A row of one of the page's tables. */
export interface NameRow {
  readonly heading: string;
  /** What stands in the row, for messages. */
  readonly text: string;
  /** PyREBox's names, without what is in parentheses. */
  readonly names: readonly string[];
  /** What rebox has for them. */
  readonly targets: readonly string[];
  readonly isNone: boolean;
  readonly hasLink: boolean;
  readonly difference: string;
}

function findCode(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);
}

/** The pages that say what the names of another program are here, by the names of their files in docs/reference. */
export type AncestorPage = "pyrebox" | "cape" | "cuckoo3" | "mig";

/** Reads the tables of a page. */
export function readPage(page: AncestorPage = "pyrebox"): NameRow[] {
  const rows: NameRow[] = [];
  let heading = "";
  for (const line of readFileSync(join(PROJECT, `docs/reference/${page}.md`), "utf8").split("\n")) {
    heading = /^## (.*)/.exec(line)?.[1] ?? heading;
    if (!line.startsWith("| ") || /^\| (PyREBox|CAPE|Cuckoo3|MIG) \|/.test(line)) continue;
    const [, left = "", right = "", difference = ""] = line.split(/ ?\| ?/);
    rows.push({
      ...{ heading, text: line, difference },
      names: findCode(left).map((name) => name.replace(/\(.*$|<.*$| <.*$| script$/, "").trim()),
      targets: findCode(right),
      isNone: right.trim() === "none",
      hasLink: /\]\([^)]+\)/.test(right),
    });
  }
  return rows;
}

/** Reads the names of a page's program, by heading; each line is a name and those that belong to it. */
export function readNames(page: AncestorPage = "pyrebox"): ReadonlyMap<string, readonly (readonly string[])[]> {
  const names = new Map<string, string[][]>();
  let lines: string[][] = [];
  for (const line of readFileSync(join(PROJECT, `test/kit/documents/${page}-names.txt`), "utf8").split("\n")) {
    const [, heading] = /^\[([A-Z][\w .]*?)\]$/.exec(line) ?? [];
    if (heading !== undefined && heading !== "MODULES") names.set(heading, (lines = []));
    else if (line !== "" && !line.startsWith("#")) {
      // A configuration's key is one name with its section.
      const [, section, rest] = /^(\[\w+\] \w+|\[\w+\])(.*)$/.exec(line) ?? [];
      lines.push(
        section === undefined ? line.split(" ") : [section, ...(rest!.trim() === "" ? [] : rest!.trim().split(" "))],
      );
    }
  }
  return names;
}
