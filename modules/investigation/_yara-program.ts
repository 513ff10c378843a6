import { spawn } from "node:child_process";

const LONGEST_OUTPUT = 64 * 1024 * 1024;
/** Of one rule in one file. */
const MOST_MATCHES = 100;

/** A match of a string of a rule. */
export interface YaraMatch {
  /** The name of the string in the rule. */
  readonly string: string;
  /** Of the piece that it lies in, or of the file's beginning, with the distance from there. */
  readonly address: string;
  /** In bytes. */
  readonly length: number;
}

/** A rule that fits. */
export interface YaraHit {
  readonly rule: string;
  readonly matches: readonly YaraMatch[];
}

/** A piece of the file that YARA reads. */
export interface Piece {
  readonly at: number;
  readonly address: bigint;
  readonly size: number;
}

/**
 * Runs YARA over a file; what it says has places and lengths, and no contents.
 *
 * @param rules the path of the file with the rules
 * @param file what is looked at
 * @param pieces where the parts of the file come from; what lies across two of them is no match
 * @param timeoutS in seconds
 * @throws Error with YARA's own words, or that there is no YARA
 */
export async function runYara(
  rules: string,
  file: string,
  pieces: readonly Piece[],
  timeoutS: number,
  signal: AbortSignal,
): Promise<YaraHit[]> {
  return readHits(await execute(rules, file, timeoutS, signal), pieces);
}

function execute(rules: string, file: string, timeoutS: number, signal: AbortSignal): Promise<string> {
  const args = ["--no-warnings", "--print-string-length", `--timeout=${timeoutS}`, rules, file];
  return new Promise((resolve, reject) => {
    const child = spawn("yara", args, { stdio: ["ignore", "pipe", "pipe"], signal: signal });
    let [output, errors] = ["", ""];
    child.stdout.setEncoding("latin1").on("data", (text: string) => {
      output += text;
      if (output.length > LONGEST_OUTPUT) child.kill("SIGKILL");
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(-4096)));
    child.once("error", (error) => {
      const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
      reject(isMissing ? new Error("there is no program yara: apt install yara", { cause: error }) : error);
    });
    child.once("close", (status) => {
      if (output.length > LONGEST_OUTPUT) reject(new Error("the rules match too often: make them narrower"));
      else if (status === 0) resolve(output);
      // Names of files mean nothing to whoever asked.
      else reject(new Error(`yara: ${errors.replaceAll(rules, "rules").replaceAll(file, "memory").trim()}`));
    });
  });
}

/** Reads lines such as "RULE FILE" and "0x12:5:$name", and turns places in the file into addresses. */
function readHits(output: string, pieces: readonly Piece[]): YaraHit[] {
  const elements: { rule: string; matches: YaraMatch[]; hasCrossing: boolean }[] = [];
  for (const line of output.split("\n")) {
    const [, offset, length, string] = /^0x([0-9a-f]+):(\d+):(\$\w*)$/.exec(line) ?? [];
    const last = elements.at(-1);
    if (string === undefined) {
      const rule = /^(\w+) /.exec(line)?.[1];
      if (rule !== undefined) elements.push({ rule, matches: [], hasCrossing: false });
    } else if (last) {
      const [at, size] = [parseInt(offset as string, 16), Number(length)];
      const piece = findPiece(pieces, at);
      if (!piece || at + size > piece.at + piece.size) last.hasCrossing = true;
      else if (last.matches.length < MOST_MATCHES) {
        last.matches.push({
          string,
          address: `0x${(piece.address + BigInt(at - piece.at)).toString(16)}`,
          length: size,
        });
      }
    }
  }
  return elements
    .filter(({ matches, hasCrossing }) => matches.length > 0 || !hasCrossing)
    .map(({ rule, matches }) => ({ rule, matches }));
}

/** The last piece that begins at or before a place. */
function findPiece(pieces: readonly Piece[], at: number): Piece | undefined {
  let [low, high] = [0, pieces.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((pieces[middle] as Piece).at <= at) low = middle + 1;
    else high = middle;
  }
  return pieces[low - 1];
}
