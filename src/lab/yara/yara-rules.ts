import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { runYara } from "./yara-program";

/** The folder of a lab with its rules, in any folders below it. */
const FOLDER = "rules/yara";
const MOST_FILES = 10_000;
/** To compile the rules of one file. */
const LIMIT_MS = 60_000;

/** The files of rules of a lab. */
export interface YaraRules {
  /** Absolute paths, in the order of their names. */
  readonly files: readonly string[];
  /** Why a file cannot be used, each with the file and the line. */
  readonly broken: readonly string[];
}

/**
 * Finds the rules of a lab, and compiles each file once: one that is broken does not keep the others from being used.
 *
 * @throws AnalysisError when there are rules and no program yara
 */
export async function findYaraRules(labFolder: string): Promise<YaraRules> {
  const folder = join(labFolder, FOLDER);
  if (!existsSync(folder)) return { files: [], broken: [] };
  const files: string[] = [];
  const broken: string[] = [];
  for (const path of listRuleFiles(folder).slice(0, MOST_FILES)) {
    const { status, errors } = await runYara(["--no-warnings", path, "/dev/null"], LIMIT_MS);
    if (status === 0) files.push(path);
    else broken.push(`${relative(labFolder, path)}${explain(path, errors)}`);
  }
  return { files, broken };
}

function listRuleFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.yara?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

/** Reads what the program says: `error: rule "X" in FILE(3): syntax error`, or `FILE(3): error: …`. */
function explain(path: string, errors: string): string {
  const text = errors.trim().split("\n").find((line) => line.includes("error")) ?? errors.trim(); // prettier-ignore
  const [, line] = /\((\d+)\)/.exec(text.slice(text.indexOf(path) + path.length)) ?? [];
  const reason = text.replaceAll(path, "").replace(/^error: /, "").replace(/ ?in ?\(\d+\): |^\(\d+\): error: |\(\d+\): /, ": ").trim(); // prettier-ignore
  return `${line === undefined ? "" : `:${line}`}: ${reason === "" ? "it cannot be compiled in time" : reason}`;
}
