import { spawn } from "node:child_process";
import { AnalysisError } from "../errors";

const LARGEST_OUTPUT = 64 << 20;
const MOST_STRINGS = 20;

/** A place at which a string of a rule was found. */
export interface YaraString {
  /** Its name in the rule: "$a". */
  readonly name: string;
  /** From the beginning of the file. */
  readonly offset: number;
  readonly length: number;
}

/** A rule that fits a file. */
export interface YaraMatch {
  /** The index of its file of rules. */
  readonly source: number;
  readonly rule: string;
  readonly meta: Readonly<Record<string, string | number | boolean>>;
  /** The path of the file that it fits, as it was given. */
  readonly path: string;
  readonly strings: YaraString[];
}

/** The outcome of a run of the program. */
export interface YaraRun {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

/**
 * Runs YARA's own program.
 *
 * @throws AnalysisError when there is none
 */
export function runYara(args: readonly string[], limitMs: number): Promise<YaraRun> {
  return new Promise((resolve, reject) => {
    const child = spawn("yara", args, { stdio: ["ignore", "pipe", "pipe"], timeout: limitMs, killSignal: "SIGKILL" });
    let [output, errors] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.length > LARGEST_OUTPUT) child.kill("SIGKILL");
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(-65536)));
    child.once("error", (error) => {
      const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
      reject(isMissing ? new AnalysisError("there is no program yara: apt install yara", { cause: error }) : error);
    });
    child.once("close", (status) => resolve({ status, output, errors }));
  });
}

/** The options by which the program writes what readMatches() reads. */
export const MATCH_OPTIONS = ["--no-warnings", "--print-namespace", "--print-meta", "--print-string-length"];

/** Reads lines such as `r0:RULE [name="value",severity=8] PATH` and, below each, `0x12:5:$name`. Contents are in neither. */
export function readMatches(output: string): YaraMatch[] {
  const matches: YaraMatch[] = [];
  for (const line of output.split("\n")) {
    const [, offset, length, name] = /^0x([0-9a-f]+):(\d+):(\$\w*)$/.exec(line) ?? [];
    const last = matches.at(-1);
    if (name !== undefined && last !== undefined) {
      if (last.strings.length < MOST_STRINGS) last.strings.push({ name, offset: parseInt(offset!, 16), length: Number(length) }); // prettier-ignore
      continue;
    }
    // No path that is given has a blank; the texts of the meta can have anything.
    const [, source, rule, meta, path] = /^r(\d+):(\w+) \[(.*)\] (\S+)$/.exec(line) ?? [];
    if (source === undefined) continue;
    matches.push({ source: Number(source), rule: rule!, meta: readMeta(meta!), path: path!, strings: [] });
  }
  return matches;
}

function readMeta(text: string): Record<string, string | number | boolean> {
  const meta: Record<string, string | number | boolean> = Object.create(null) as Record<string, never>;
  for (const [, name, value] of text.matchAll(/(\w+) ?=("(?:[^"\\]|\\.)*"|-?\d+|true|false)/g)) {
    if (value!.startsWith('"')) meta[name!] = value!.slice(1, -1).replace(/\\(.)/g, "$1");
    else meta[name!] = /^[tf]/.test(value!) ? value === "true" : Number(value);
  }
  return meta;
}
