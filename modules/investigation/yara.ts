import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { AddressError, DiskError, KernelDataError, type LinuxProcess } from "rebox";
import {
  callWithin,
  compileExpression,
  type Findings,
  formatDuration,
  Investigation,
  type InvestigationResult,
  parseFlags,
  registerInvestigation,
  z,
} from "rebox/investigation";
import { FileSearch, GuestFiles, type GuestPlace, searchFiles } from "rebox/trusted";
import { PrivateFolder } from "./_private-folder";
import { type Piece, runYara, type YaraMatch } from "./_yara-program";

const LONGEST_MATCH_MS = 1000;
const READ_SIZE = 1 << 20;
const MOST_ERRORS = 30;
const MASKED = "masked";
/** Between pieces of memory that do not follow each other: nothing that lies across is a match. */
const GAP = Buffer.alloc(4096);

const Parameters = z.strictObject({
  rules: z.string().min(1).meta({ description: "The text of the rules.", contentMediaType: "text/plain" }),
  paths: z
    .array(z.string())
    .default([])
    .describe("Files, and directories with all that is below them. With paths alone, no process is looked at."),
  maxsize: z
    .int()
    .min(1)
    .default(64 * 1024 * 1024)
    .describe("Larger files are left out, in bytes."),
  names: z
    .array(z.string())
    .default([])
    .describe("Regular expressions for the program's path; without them, and without pids and paths, all processes."),
  pids: z.array(z.int().min(1)).default([]).describe("Numbers of processes."),
  timeout: z.int().min(1).max(3600).default(60).describe("For each process and file, in seconds."),
});
type Parameters = z.infer<typeof Parameters>;

/** A rule that fits a process, whose matches have addresses, or a file, where they are distances from its beginning. */
interface Element {
  readonly rule: string;
  readonly process?: { readonly name: string; readonly pid: number };
  readonly file?: string;
  readonly matches: readonly YaraMatch[];
}

interface Statistics {
  readonly processcount: number;
  readonly memoryread: number;
  readonly filescount: number;
  readonly totalhits: number;
  readonly exectime: string;
}

type Counts = Record<"processcount" | "memoryread" | "filescount", number>;

const HELP = `yara looks for what YARA's rules describe, in the memory of a guest's processes and in its files. It tells rules and places, never
contents.

-rules FILE      the rules
-name REGEX      only processes whose program's path matches
-pid NUMBER      only the process with this number
-path PATH       a file, or a directory with all that is below it; without -name and -pid no process
-maxsize BYTES   larger files are left out; 67108864 without it
-t SECONDS       how long a process or a file may take; 60 without it

The program yara must be installed: apt install yara.`;

class Yara extends Investigation<Parameters, Element[], Statistics> {
  protected readonly schema = Parameters as z.ZodType<Parameters>;

  override validateParameters(): void {
    for (const source of this.parameters.names) compileExpression(source);
    if (this.parameters.paths.length > 0) this.#makeSearch();
  }

  protected async investigate(): Promise<Findings<Element[], Statistics>> {
    const startMs = performance.now();
    const { paths, names, pids, rules } = this.parameters;
    const elements: Element[] = [];
    const errors: string[] = [];
    const counts = { processcount: 0, memoryread: 0, filescount: 0 };
    const folder = new PrivateFolder();
    try {
      const file = folder.write("rules", rules);
      // Rules that mean nothing are an error, whatever there is to look at.
      await this.#scan(file, folder.write("nothing", ""), []);
      if (paths.length === 0 || names.length > 0 || pids.length > 0) {
        for await (const element of this.#searchProcesses(file, folder, counts, errors)) elements.push(element);
      }
      if (paths.length > 0) {
        for await (const element of this.#searchFiles(file, folder, counts, errors)) elements.push(element);
      }
    } finally {
      folder.remove();
    }
    const exectime = formatDuration((performance.now() - startMs) * 1e6);
    const statistics = { ...counts, totalhits: elements.length, exectime };
    return { found: elements.length > 0, elements, statistics, errors: limit(errors) };
  }

  async *#searchProcesses(rules: string, folder: PrivateFolder, counts: Counts, errors: string[]) {
    const guest = this.context.getGuest();
    for (const process of this.#select(this.context.atOneMoment(() => guest.getProcessList()))) {
      counts.processcount++;
      try {
        const name = this.context.atOneMoment(() => process.executable);
        const { file, pieces, size } = await this.context.whilePaused(() => this.#copy(process, folder));
        counts.memoryread += size;
        for (const hit of await this.#scan(rules, file, pieces)) yield { ...hit, process: { name, pid: process.pid } };
      } catch (error) {
        if (!(error instanceof KernelDataError)) throw error;
        errors.push(`process ${process.pid} (${process.name}): ${error.message}`);
      }
      await this.context.turn();
    }
  }

  async *#searchFiles(rules: string, folder: PrivateFolder, counts: Counts, errors: string[]) {
    const { maxsize } = this.parameters;
    const { signal } = this.context;
    const files = await GuestFiles.open();
    try {
      const search = this.#makeSearch();
      const findings = await searchFiles(files, [search], signal);
      errors.push(...files.problems, ...findings.errors);
      for (const { place } of findings.hits.get(search) ?? []) {
        if (place.facts.size > maxsize) {
          errors.push(`${place.path}: its ${place.facts.size} bytes are more than ${maxsize} (maxsize)`);
          continue;
        }
        counts.filescount++;
        try {
          const { file, size } = await this.#copyFile(files, place, folder);
          for (const hit of await this.#scan(rules, file, [{ at: 0, address: 0n, size }]))
            yield { ...hit, file: place.path };
        } catch (error) {
          if (!isGuests(error)) throw error;
          errors.push(`${place.path}: ${error.message}`);
        }
        await this.context.turn();
      }
    } finally {
      await files.close();
    }
  }

  /** All files below the paths. */
  #makeSearch(): FileSearch {
    return new FileSearch("yara", { paths: this.parameters.paths, names: ["."], options: { matchlimit: 0 } }, 0n);
  }

  #scan(rules: string, file: string, pieces: readonly Piece[]) {
    return runYara(rules, file, pieces, this.parameters.timeout, this.context.signal);
  }

  #select(processes: readonly LinuxProcess[]): LinuxProcess[] {
    const { names, pids } = this.parameters;
    const expressions = names.map((source) => compileExpression(source));
    const candidates = processes.filter(({ pgd, pid }) => pgd !== 0n && (pids.length === 0 || pids.includes(pid)));
    if (expressions.length === 0) return candidates;
    const paths = this.context.atOneMoment(() => candidates.map((process) => process.executable));
    return callWithin(LONGEST_MATCH_MS, () =>
      candidates.filter((_, index) => expressions.some((expression) => expression.test(paths[index] as string))),
    );
  }

  /** Copies the memory of a process, while the guest stands still. */
  async #copy(process: LinuxProcess, folder: PrivateFolder): Promise<{ file: string; pieces: Piece[]; size: number }> {
    const file = folder.write("memory", "");
    const descriptor = openSync(file, "w", 0o600);
    const pieces: Piece[] = [];
    let [at, size] = [0, 0];
    let end: bigint | undefined;
    try {
      for (const { address, bytes } of process.walkMemory()) {
        if (!bytes) continue;
        if (end !== undefined && end !== address) at += writeSync(descriptor, GAP);
        const last = pieces.at(-1);
        if (last && end === address) pieces[pieces.length - 1] = { ...last, size: last.size + bytes.length };
        else pieces.push({ at, address, size: bytes.length });
        for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done);
        at += bytes.length;
        size += bytes.length;
        end = address + BigInt(bytes.length);
        await this.context.turn();
      }
    } finally {
      closeSync(descriptor);
    }
    return { file, pieces, size };
  }

  async #copyFile(
    files: GuestFiles,
    place: GuestPlace,
    folder: PrivateFolder,
  ): Promise<{ file: string; size: number }> {
    const file = folder.write("file", "");
    const descriptor = openSync(file, "w", 0o600);
    let size = 0;
    try {
      while (size < place.facts.size) {
        const bytes = await files.read(place, size, Math.min(READ_SIZE, place.facts.size - size));
        if (bytes.length === 0) break;
        for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done);
        size += bytes.length;
        await this.context.turn();
      }
    } finally {
      closeSync(descriptor);
    }
    return { file, size };
  }

  printResults(result: InvestigationResult, foundOnly: boolean): string[] {
    const lines = ((result.elements ?? []) as Element[]).map(({ rule, process, file, matches }) => {
      const places = matches.map(({ string, address }) => `${string} at ${address}`).join(", ");
      const what = process === undefined ? file : `${process.name} (${process.pid})`;
      return `${rule} matches ${what}${places === "" ? "" : `: ${places}`}`;
    });
    if (foundOnly) return lines;
    for (const error of result.errors ?? []) lines.push(`error: ${error}`);
    const statistics = result.statistics as Statistics | null;
    if (statistics) {
      const { processcount, memoryread, filescount, totalhits, exectime } = statistics;
      const files = filescount === 0 ? "" : ` and ${filescount} files`;
      lines.push(`stat: ${totalhits} found in ${processcount} processes, ${memoryread} bytes${files} in ${exectime}`);
    }
    return lines;
  }

  enhancePrivacy(result: InvestigationResult): InvestigationResult {
    const elements = ((result.elements ?? []) as Element[]).map((element) =>
      element.file === undefined ? element : { ...element, file: MASKED },
    );
    return { ...result, elements, errors: result.errors && result.errors.map(() => MASKED) };
  }

  paramsParser(args: readonly string[]): Parameters {
    const flags = {
      rules: "text",
      name: "texts",
      pid: "texts",
      path: "texts",
      maxsize: "number",
      t: "number",
    } as const;
    const { rules, name, pid, path, maxsize, t } = parseFlags(args, flags, HELP);
    if (rules === undefined) throw new Error("-rules names the file with the rules");
    const pids = (pid ?? []).map(Number);
    const given = { rules: readFileSync(rules, "utf8"), names: name ?? [], pids, paths: path ?? [] };
    const limits = { ...(maxsize === undefined ? {} : { maxsize }), ...(t === undefined ? {} : { timeout: t }) };
    return this.accept({ ...given, ...limits });
  }
}

function limit(errors: readonly string[]): string[] {
  const left = errors.length - MOST_ERRORS;
  return left > 0 ? [...errors.slice(0, MOST_ERRORS), `${left} errors were not returned`] : [...errors];
}

/** What the guest's data causes, in memory or on a disk. */
function isGuests(error: unknown): error is Error {
  return [DiskError, KernelDataError, AddressError].some((type) => error instanceof type);
}

registerInvestigation("yara", { newRun: (context) => new Yara(context) });
