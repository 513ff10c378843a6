import { KernelDataError, type LinuxGuest, type LinuxProcess } from "rebox";
import {
  callWithin,
  compileExpression,
  type Findings,
  formatDuration,
  Investigation,
  type InvestigationContext,
  type InvestigationResult,
  parseFlags,
  registerInvestigation,
  z,
} from "rebox/investigation";
import { BytePattern, searchProcess, type SearchPattern, TextPattern } from "rebox/trusted";

const LABEL = /^[a-zA-Z0-9_-]{1,64}$/;
/** For the paths of a process: an expression that takes longer will not end. */
const LONGEST_MATCH_MS = 1000;
const MOST_FAILURES = 1000;

const Options = z.strictObject({
  offset: z.number().nonnegative().default(0).describe("Virtual addresses before it are not searched."),
  maxlength: z
    .number()
    .nonnegative()
    .default(0)
    .describe("How many bytes of a process are searched at most; 0 for all."),
  logfailures: z.boolean().default(false).describe("Tells of memory that could not be read."),
  matchall: z
    .boolean()
    .default(false)
    .describe("A process must match everything that is looked for, not only something."),
});
const Search = z.strictObject({
  description: z.string().optional().describe("Comes back with the answer."),
  names: z.array(z.string()).default([]).describe("Regular expressions for the program's path."),
  libraries: z.array(z.string()).default([]).describe("Regular expressions for the paths of files that are mapped."),
  contents: z.array(z.string()).default([]).describe("Regular expressions for memory."),
  bytes: z.array(z.string()).default([]).describe("Hexadecimal, without 0x."),
  options: Options.prefault({}),
});
const Parameters = z.strictObject({ searches: z.record(z.string(), Search) });
type Parameters = z.infer<typeof Parameters>;
type Search = z.infer<typeof Search>;
type Options = z.infer<typeof Options>;

const KINDS = ["names", "libraries", "contents", "bytes"] as const;
type CheckKind = (typeof KINDS)[number];

/** One thing that a search looks for. */
interface Check {
  readonly kind: CheckKind;
  readonly value: string;
  readonly expression?: RegExp;
  readonly pattern?: SearchPattern;
}

interface LabelledSearch {
  readonly label: string;
  readonly options: Options;
  readonly description: string | undefined;
  readonly checks: readonly Check[];
}

interface Element {
  readonly search: Partial<Record<CheckKind, readonly string[]>> & { description?: string; options: Options };
  readonly process: { readonly name: string; readonly pid: number };
  /** Where what was looked for begins, by its text: virtual addresses; not what is there. */
  readonly addresses?: Readonly<Record<string, string>>;
}
type Elements = Record<string, Element[]>;

interface Statistics {
  readonly processcount: number;
  /** In bytes. */
  readonly memoryread: number;
  readonly totalhits: number;
  readonly failures?: readonly string[];
  readonly exectime: string;
}

const HELP = `memory searches the memory of a guest's processes. It never returns what it finds, only where.

-name REGEX       the path of the program
-lib REGEX        the path of a library, or of another file that is mapped
-content REGEX    a regular expression of bytes in memory
-bytes HEX        bytes in memory, as "ff00d1ab"
-matchall         a process must match all of these (the default here)
-matchany         a process that matches one of these is found
-offset NUMBER    the virtual address to begin at
-maxlength NUMBER how many bytes of a process are searched
-logfailures      tells of memory that could not be read

The first four may be given several times.`;

class MemoryInvestigation extends Investigation<Parameters, Elements, Statistics> {
  protected readonly schema = Parameters as z.ZodType<Parameters>;

  override validateParameters(): void {
    const searches = Object.entries(this.parameters.searches);
    if (searches.length === 0) throw new Error("nothing is looked for: searches is empty");
    for (const [label, search] of searches) createSearch(label, search);
  }

  protected async investigate(): Promise<Findings<Elements, Statistics>> {
    const startMs = performance.now();
    const guest = this.context.getGuest();
    const searches = Object.entries(this.parameters.searches).map(([label, search]) => createSearch(label, search));
    const scan = new Scan(searches, this.context);
    await scan.searchAll(guest);
    const { elements, statistics } = scan;
    const exectime = formatDuration((performance.now() - startMs) * 1e6);
    const found = statistics.totalhits > 0;
    return { found, elements, statistics: { ...statistics, exectime }, errors: scan.errors };
  }

  printResults(result: InvestigationResult, foundOnly: boolean): string[] {
    const lines: string[] = [];
    for (const [label, found] of Object.entries((result.elements ?? {}) as Elements)) {
      for (const { process, search, addresses } of found) {
        const what = KINDS.flatMap((kind) => (search[kind] ?? []).map((value) => `${kind}='${value}'`));
        if (process.pid === 0) {
          if (!foundOnly) lines.push(`[${label}] nothing for ${what.join(" ")}`);
          continue;
        }
        const at = Object.values(addresses ?? {});
        lines.push(
          `[${label}] ${process.name} (${process.pid}) matches ${what.join(" ")}${at.length > 0 ? ` at ${at.join(", ")}` : ""}`,
        );
      }
    }
    if (foundOnly) return lines;
    for (const error of result.errors ?? []) lines.push(`error: ${error}`);
    const statistics = result.statistics as Statistics | null;
    if (statistics) {
      const { processcount, memoryread, totalhits, exectime } = statistics;
      lines.push(`stat: ${totalhits} found in ${processcount} processes, ${memoryread} bytes searched in ${exectime}`);
      for (const failure of statistics.failures ?? []) lines.push(`failure: ${failure}`);
    }
    return lines;
  }

  paramsParser(args: readonly string[]): Parameters {
    const flags = {
      ...({
        name: "texts",
        lib: "texts",
        content: "texts",
        bytes: "texts",
        matchall: "switch",
        matchany: "switch",
      } as const),
      ...({ logfailures: "switch", offset: "number", maxlength: "number" } as const),
    };
    const given = parseFlags(args, flags, HELP);
    if (given.matchall === true && given.matchany === true)
      throw new Error("-matchall and -matchany exclude each other");
    const { offset = 0, maxlength = 0, logfailures = false } = given;
    const options = { offset, maxlength, logfailures, matchall: given.matchany !== true };
    const lists = {
      names: given.name ?? [],
      libraries: given.lib ?? [],
      contents: given.content ?? [],
      bytes: given.bytes ?? [],
    };
    return this.accept({ searches: { s1: { ...lists, options } } });
  }
}

/** Looks through one process after the other; each memory is read once, for all searches. */
class Scan {
  /** Without a prototype: "__proto__" is a label like others. */
  readonly elements = Object.create(null) as Elements;
  readonly errors: string[] = [];
  readonly #failures: string[] = [];
  readonly #hits = new Set<Check>();
  #processcount = 0;
  #memoryread = 0;
  #totalhits = 0;

  constructor(
    private readonly searches: readonly LabelledSearch[],
    private readonly context: InvestigationContext,
  ) {
    for (const { label } of searches) this.elements[label] = [];
  }

  get statistics(): Omit<Statistics, "exectime"> {
    return {
      ...{ processcount: this.#processcount, memoryread: this.#memoryread, totalhits: this.#totalhits },
      ...(this.#failures.length === 0 ? {} : { failures: this.#failures }),
    };
  }

  async searchAll(guest: LinuxGuest): Promise<void> {
    // Kernel threads and those that have ended have no memory of their own.
    for (const process of this.context.atOneMoment(() => guest.getProcessList()).filter(({ pgd }) => pgd !== 0n)) {
      this.#processcount++;
      try {
        await this.#searchProcess(process);
      } catch (error) {
        // One that has ended meanwhile, or that is damaged: the others are searched all the same.
        if (!(error instanceof KernelDataError)) throw error;
        this.#fail(process, error.message);
      }
      await this.context.turn();
    }
    for (const search of this.searches) this.#noteMissed(search);
  }

  async #searchProcess(process: LinuxProcess): Promise<void> {
    const name = process.executable;
    const paths = this.searches.some(({ checks }) => checks.some(({ kind }) => kind === "libraries"))
      ? listLibraries(process)
      : [];
    const matched = new Map<Check, bigint | undefined>();
    callWithin(LONGEST_MATCH_MS, () => {
      for (const { checks } of this.searches) {
        for (const check of checks) {
          const texts = check.kind === "names" ? [name] : check.kind === "libraries" ? paths : [];
          if (texts.some((text) => check.expression?.test(text))) matched.set(check, undefined);
        }
      }
    });
    // Memory need not be read for a search whose other conditions do not hold.
    const open = this.searches.filter(
      ({ options, checks }) => !options.matchall || checks.every((check) => check.pattern || matched.has(check)),
    );
    for (const [range, checks] of groupByRange(open)) await this.#searchMemory(process, range, checks, matched);
    for (const search of this.searches) this.#report(search, process.pid, name, matched);
  }

  async #searchMemory(
    process: LinuxProcess,
    { offset, maxlength }: Options,
    checks: readonly Check[],
    matched: Map<Check, bigint | undefined>,
  ): Promise<void> {
    const patterns = checks.map(({ pattern }) => pattern as SearchPattern);
    const found = await searchProcess(process, patterns, {
      ...{ offset: BigInt(Math.floor(offset)), signal: this.context.signal },
      // The time in which the guest does not run counts.
      atOneMoment: (look) => this.context.atOneMoment(look),
      ...(maxlength === 0 ? {} : { maxLength: maxlength }),
    });
    this.context.signal.throwIfAborted();
    this.#memoryread += found.searched;
    checks.forEach((check, index) => {
      if (found.hits[index] !== undefined) matched.set(check, found.hits[index]);
    });
    for (const { start, end } of found.unreadable) {
      this.#fail(process, `0x${start.toString(16)} to 0x${end.toString(16)} is not in memory`);
    }
    if (found.hasEnded) this.#fail(process, "it ended while its memory was searched");
  }

  #report(search: LabelledSearch, pid: number, name: string, matched: ReadonlyMap<Check, bigint | undefined>): void {
    const hits = search.checks.filter((check) => matched.has(check));
    for (const check of hits) this.#hits.add(check);
    const groups = search.options.matchall
      ? hits.length === search.checks.length
        ? [hits]
        : []
      : hits.map((hit) => [hit]);
    for (const checks of groups) {
      this.#totalhits++;
      const places = checks.flatMap((check) => {
        const at = matched.get(check);
        return at === undefined ? [] : [[check.value, `0x${at.toString(16)}`]];
      });
      const addresses = places.length === 0 ? {} : { addresses: Object.fromEntries(places) as Record<string, string> };
      this.elements[search.label]?.push({
        process: { name, pid },
        search: describeSearch(search, checks),
        ...addresses,
      });
    }
  }

  /** What was not found at all has an entry of its own, with no process. */
  #noteMissed(search: LabelledSearch): void {
    const found = this.elements[search.label] as Element[];
    const missed = search.options.matchall
      ? found.length === 0
        ? [search.checks]
        : []
      : search.checks.filter((check) => !this.#hits.has(check)).map((check) => [check]);
    for (const checks of missed) found.push({ process: { name: "", pid: 0 }, search: describeSearch(search, checks) });
  }

  #fail({ pid, name }: LinuxProcess, what: string): void {
    if (!this.searches.some(({ options }) => options.logfailures)) return;
    if (this.#failures.length < MOST_FAILURES) this.#failures.push(`process ${pid} (${name}): ${what}`);
    else if (this.errors.length === 0) this.errors.push(`more than ${MOST_FAILURES} failures: the others are left out`);
  }
}

/** The paths of mapped files, each once; those of programs and of data are among them. */
function listLibraries(process: LinuxProcess): string[] {
  return [...new Set(process.memoryMap.filter(({ file }) => file !== 0n).map(({ path }) => path))];
}

/** Searches that begin and end at the same place read the memory together. */
function groupByRange(searches: readonly LabelledSearch[]): [Options, Check[]][] {
  const groups = new Map<string, [Options, Check[]]>();
  for (const { options, checks } of searches) {
    const patterns = checks.filter(({ pattern }) => pattern !== undefined);
    if (patterns.length === 0) continue;
    const key = `${options.offset} ${options.maxlength}`;
    const group = groups.get(key);
    if (group) group[1].push(...patterns);
    else groups.set(key, [options, patterns]);
  }
  return [...groups.values()];
}

function describeSearch({ options, description }: LabelledSearch, checks: readonly Check[]): Element["search"] {
  const values: Partial<Record<CheckKind, string[]>> = {};
  for (const { kind, value } of checks) (values[kind] ??= []).push(value);
  return { ...(description === undefined ? {} : { description }), ...values, options };
}

/** @throws Error saying what is wrong with it */
function createSearch(label: string, search: Search): LabelledSearch {
  if (!LABEL.test(label)) throw new Error(`the label '${label}' is invalid: 1 to 64 letters, digits, _ and -`);
  const { names, libraries, contents, bytes, options, description } = search;
  const checks: Check[] = [
    ...names.map((value) => ({ kind: "names" as const, value, expression: compileExpression(value) })),
    ...libraries.map((value) => ({ kind: "libraries" as const, value, expression: compileExpression(value) })),
    ...contents.map((value) => ({ kind: "contents" as const, value, pattern: new TextPattern(value) })),
    ...bytes.map((value) => ({ kind: "bytes" as const, value, pattern: BytePattern.parse(value) })),
  ];
  if (checks.length === 0)
    throw new Error(`search ${label} looks for nothing: give names, libraries, contents or bytes`);
  return { label, options, description, checks };
}

registerInvestigation("memory", { newRun: (context) => new MemoryInvestigation(context) });
