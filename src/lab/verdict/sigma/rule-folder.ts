import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { LineCounter, parseAllDocuments } from "yaml";
import { ReboxError } from "../../../config/rebox-error";
import { findLogSources, type LogSource } from "./log-sources";
import { createSigmaRule, type SigmaRule } from "./rule";
import { SigmaFolderError, SigmaSyntaxError } from "../../errors";

/** In bytes; a longer file is no rule. */
const LONGEST_FILE = 1 << 20;
const MOST_FILES = 100_000;
const DEEPEST_FOLDER = 32;

/** A rule with its file, relative to the folder that was read. */
export interface FoundRule {
  readonly file: string;
  readonly line: number;
  /** Of the events that it is asked about. */
  readonly categories: readonly string[];
  readonly rule: SigmaRule;
}

/** A rule that no analysis can ask, and why. */
export interface UnusableRule {
  readonly file: string;
  readonly line: number;
  readonly title: string | undefined;
  readonly reason: string;
}

export interface RuleFolder {
  readonly rules: readonly FoundRule[];
  readonly unusable: readonly UnusableRule[];
}

/**
 * Reads all rules below a folder, such as a copy of SigmaHQ's: each document of each .yml and .yaml file.
 *
 * @param platform that of the machine: rules for another are left out unread; without it none are
 * @returns those that an analysis can ask, and the others with the reason of each
 * @throws SigmaFolderError when the folder cannot be read
 */
export function readRuleFolder(folder: string, platform?: string): RuleFolder {
  const rules: FoundRule[] = [];
  const unusable: UnusableRule[] = [];
  for (const path of listRuleFiles(folder)) {
    const file = relative(folder, path);
    try {
      const text = readRuleText(path);
      const foreign = findForeignRule(text, platform);
      if (foreign !== undefined) unusable.push({ file, ...foreign });
      else
        for (const { line, value } of readDocuments(text)) {
          const refusal = addRule(value, { file, line }, rules, platform);
          if (refusal !== undefined) unusable.push({ file, line, title: findTitle(value), reason: refusal });
        }
    } catch (error) {
      if (!(error instanceof SigmaSyntaxError)) throw error;
      unusable.push({ file, line: 1, title: undefined, reason: error.message });
    }
  }
  return { rules, unusable };
}

/** @returns why the document is no rule that can be asked */
function addRule(
  value: unknown,
  place: { file: string; line: number },
  rules: FoundRule[],
  platform: string | undefined,
): string | undefined {
  try {
    const rule = createSigmaRule(value);
    const sources = findLogSources(rule.logSource, platform);
    if (typeof sources === "string") return sources;
    const listMissing = ({ fields }: LogSource): string[] =>
      fields === undefined ? [] : [...rule.fields].filter((field) => !fields.has(field));
    const usable = sources.filter((source) => listMissing(source).length === 0);
    const [first] = sources;
    if (usable.length === 0) return `events of ${first!.category} have no ${listMissing(first!).join(", ")}`;
    rules.push({ ...place, categories: usable.map(({ category }) => category), rule });
    return undefined;
  } catch (error) {
    if (error instanceof ReboxError) return error.message;
    throw error;
  }
}

function findTitle(value: unknown): string | undefined {
  const title = (value as { title?: unknown } | null)?.title;
  return typeof title === "string" ? title : undefined;
}

function readRuleText(path: string): string {
  if (lstatSync(path).size > LONGEST_FILE) throw new SigmaSyntaxError(`it has more than ${LONGEST_FILE >> 20} MiB`);
  return readFileSync(path, "utf8");
}

/**
 * Finds out without a parser whether a file's only rule is for another system, in the form that nearly all files have: most
 * rules of a collection are for Windows, and parsing them would take most of the time of an analysis of Linux.
 */
function findForeignRule(text: string, platform: string | undefined): Omit<UnusableRule, "file"> | undefined {
  const [, title] = /^title: *(.*?)\s*$/m.exec(text) ?? [];
  const [, block = ""] = /^logsource:[ ]*\n((?:[ ]+.*\n|[ ]*\n)+)/m.exec(text) ?? [];
  const [, product] = /^[ ]+product:[ ]*['"]?([a-z0-9_-]+)['"]?[ ]*$/m.exec(block) ?? [];
  const asked = platform === undefined ? ["linux", "windows", "rebox"] : [platform, "rebox"];
  if (title === undefined || product === undefined || asked.includes(product) || /\n---/.test(text)) return undefined;
  return { line: 1, title, reason: `it is for ${product}` };
}

function readDocuments(text: string): { readonly line: number; readonly value: unknown }[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  if ("empty" in documents) return [];
  return documents.map((document) => {
    const [error] = document.errors;
    if (error !== undefined) {
      throw new SigmaSyntaxError(`line ${lines.linePos(error.pos[0]).line}: this is no YAML: ${error.message}`);
    }
    // An alias may name what holds it many times over: the parser's own limit ends that.
    try {
      return { line: lines.linePos(document.contents?.range?.[0] ?? 0).line, value: document.toJS() as unknown };
    } catch (error) {
      throw new SigmaSyntaxError(`this is no YAML: ${(error as Error).message}`);
    }
  });
}

function listRuleFiles(folder: string): string[] {
  const files: string[] = [];
  const visit = (path: string, depth: number) => {
    if (depth > DEEPEST_FOLDER)
      throw new SigmaFolderError(`${path}: more than ${DEEPEST_FOLDER} folders in each other`);
    // Symbolic links are not followed: a folder of rules may come from elsewhere.
    for (const entry of readdirSync(path, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const inner = join(path, entry.name);
      if (entry.isDirectory() && !entry.name.startsWith(".")) visit(inner, depth + 1);
      else if (entry.isFile() && /\.ya?ml$/.test(entry.name)) files.push(inner);
      if (files.length > MOST_FILES) throw new SigmaFolderError(`${folder}: more than ${MOST_FILES} files of rules`);
    }
  };
  try {
    visit(folder, 0);
  } catch (error) {
    if (error instanceof ReboxError) throw error;
    throw new SigmaFolderError(`the folder of Sigma rules ${folder} cannot be read: ${(error as Error).message}`);
  }
  return files;
}
