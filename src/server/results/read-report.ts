import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import type { AnalysisReport } from "../../lab/analysis/report/report";

const CHUNK = 1 << 20;
/** In bytes; a longer line was not written by us. */
const LONGEST_LINE = 64 << 20;
const NEWLINE = 10;
/** A member of the report itself, as writeJson() writes it: two blanks before it. */
const MEMBER = /^ {2}"(\w+)": (.*)$/s;

/** Decides whether an element of a list of a report is kept. @param member the list's name */
export type KeepElement = (member: string, element: unknown) => boolean;

/**
 * Reads some members of report.json piece by piece, so that one of hundreds of MiB takes no more memory than what is kept of it. Each member
 * of the report, and each element of its lists, is a line of its own: writeJson().
 *
 * @param folder the folder of the analysis
 * @param members those that are read
 * @param keep asked about each element of the report's lists; without it all are kept
 * @returns undefined when there is no report, or it is damaged
 */
export function readReport<Member extends keyof AnalysisReport>(
  folder: string,
  members: readonly Member[],
  keep: KeepElement = () => true,
): Pick<AnalysisReport, Member> | undefined {
  const file = join(folder, "report.json");
  if (!existsSync(file)) return undefined;
  const reader = new MemberReader(new Set<string>(members), keep);
  try {
    for (const line of readLines(file)) reader.add(line);
    return reader.end() as Pick<AnalysisReport, Member> | undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

class MemberReader {
  readonly #read: Record<string, unknown> = {};
  #name: string | undefined;
  /** The elements of a list; undefined for a member that is none. */
  #list: unknown[] | undefined;
  #text = "";
  #isWhole = false;

  constructor(
    private readonly members: ReadonlySet<string>,
    private readonly keep: KeepElement,
  ) {}

  add(line: string): void {
    const [, name, rest] = MEMBER.exec(line) ?? [];
    if (name === undefined) {
      if (line === "}") this.#close(true);
      else if (this.#list !== undefined) this.#addElement(line);
      else if (this.#name !== undefined) this.#text += line;
      return;
    }
    this.#close(false);
    if (!this.members.has(name)) return;
    this.#name = name;
    if (rest === "[") this.#list = [];
    else this.#text = rest!;
  }

  /** Returns what was read; undefined where the end is missing. */
  end(): Readonly<Record<string, unknown>> | undefined {
    return this.#isWhole ? this.#read : undefined;
  }

  #addElement(line: string): void {
    const text = withoutComma(line.trim());
    if (text === "]" || text === "") return;
    const element = JSON.parse(text) as unknown;
    if (this.keep(this.#name!, element)) this.#list!.push(element);
  }

  #close(isEnd: boolean): void {
    if (this.#name !== undefined) this.#read[this.#name] = this.#list ?? JSON.parse(withoutComma(this.#text));
    this.#name = this.#list = undefined;
    this.#text = "";
    this.#isWhole = isEnd;
  }
}

function withoutComma(text: string): string {
  return text.endsWith(",") ? text.slice(0, -1) : text;
}

/** Reads the lines of a file. @throws SyntaxError for one that never ends */
function* readLines(file: string): Generator<string> {
  const descriptor = openSync(file, "r");
  try {
    let rest = Buffer.alloc(0);
    const chunk = Buffer.alloc(CHUNK);
    for (let length = readSync(descriptor, chunk); length > 0; length = readSync(descriptor, chunk)) {
      const bytes = Buffer.concat([rest, chunk.subarray(0, length)]);
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
        yield bytes.toString("utf8", start, end);
        start = end + 1;
      }
      rest = Buffer.from(bytes.subarray(start));
      if (rest.length > LONGEST_LINE) throw new SyntaxError(`${file}: a line never ends`);
    }
    if (rest.length > 0) yield rest.toString("utf8");
  } finally {
    closeSync(descriptor);
  }
}
