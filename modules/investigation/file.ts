import {
  type Findings,
  formatDuration,
  type FlagKind,
  Investigation,
  type InvestigationContext,
  type InvestigationResult,
  parseFlags,
  type ParameterPrompt,
  formatMode,
  formatTime,
  registerInvestigation,
  UsageShown,
  z,
} from "rebox/investigation";
import {
  type FileFindings,
  type FileHit,
  FileSearch,
  type FileSearchQuery,
  GuestFiles,
  searchFiles,
} from "rebox/trusted";

const LABEL = /^[a-zA-Z0-9_-]{1,64}$/;
const DEFAULT_ERRORS = 30;
const MASKED = "masked";
const KINDS = ["name", "size", "mode", "mtime", "content", "md5", "sha1", "sha2", "sha3"] as const;
const PARAMETERS = {
  ...({ name: "names", size: "sizes", mode: "modes", mtime: "mtimes", content: "contents" } as const),
  ...({ md5: "md5", sha1: "sha1", sha2: "sha2", sha3: "sha3" } as const),
};

const texts = z.array(z.string()).default([]);
const count = z.int().min(0);
const Options = z.strictObject({
  maxdepth: count.default(1000).describe("How many directories deep."),
  maxerrors: count.default(DEFAULT_ERRORS).describe("How many errors are told; 0 for all."),
  matchall: z
    .boolean()
    .default(true)
    .describe("All of them must fit the same file; otherwise each is looked for apart."),
  macroal: z.boolean().default(false).describe("A content must fit all lines."),
  mismatch: z
    .array(z.string())
    .default([])
    .describe(`Turns around ${KINDS.join(", ")}.`),
  matchlimit: count.default(1000).describe("How many files are told; 0 for all."),
  newest: z.int().min(1).optional().describe("The files that were changed last, so many."),
  returnsha256: z.boolean().default(false).describe("Tells each file's SHA-256."),
  decompress: z.boolean().default(false).describe("Looks into gzip files."),
});
const Search = z.strictObject({
  description: z.string().default("").describe("Comes back with the answer."),
  paths: z.array(z.string()).default([]).describe("Where to search, for example /etc."),
  contents: texts.describe('Regular expressions for a line of the file; "!REGEX" for files without such a line.'),
  names: texts.describe('Regular expressions for the file\'s name; "!REGEX" for those that it does not match.'),
  sizes: texts.describe("<10m, >1g, or exactly 1024; k, m, g and t are units of 1024."),
  modes: texts.describe("Regular expressions for the mode as in -rwxr-xr-x or urwxr-xr-x (set-user-id)."),
  mtimes: texts.describe("<90d: changed within 90 days; >12h: not changed for 12 hours; d, h, m."),
  ...{ md5: texts, sha1: texts, sha2: texts, sha3: texts },
  options: Options.default(() => Options.parse({})),
});
const Parameters = z.strictObject({
  searches: z.record(z.string(), Search),
  source: z.enum(["guest", "memory", "disk"]).default("guest").describe("Where files are read."),
  filesystem: count.optional().describe("Which one, for the source disk."),
});

type SearchParameters = z.infer<typeof Search>;
type FileParameters = z.infer<typeof Parameters>;

interface MatchedFile {
  readonly file: string;
  readonly search: Partial<SearchParameters>;
  readonly fileinfo: {
    readonly size: number;
    readonly mode: string;
    readonly lastmodified: string;
    readonly sha256?: string;
  };
  /** Of an entry without a file: which part of the search no file has met. */
  readonly reason?: string;
}

type Elements = Readonly<Record<string, readonly MatchedFile[]>>;

interface Statistics {
  readonly filescount: number;
  readonly openfailed: number;
  readonly totalhits: number;
  readonly exectime: string;
  /** Where files were read: disk, disk+memory, memory. */
  readonly source: readonly string[];
}

const FLAGS: Readonly<Record<string, FlagKind>> = {
  ...{ path: "texts", name: "texts", size: "texts", mode: "texts", mtime: "texts", content: "texts" },
  ...{ md5: "texts", sha1: "texts", sha2: "texts", sha3: "texts", mismatch: "texts" },
  ...{ maxdepth: "number", maxerrors: "number", matchlimit: "number", filesystem: "number" },
  newest: "number",
  ...{ matchall: "switch", matchany: "switch", macroal: "switch", returnsha256: "switch", decompress: "switch" },
  ...{ verbose: "switch", source: "text" },
};

const HELP = `file looks for files of the guest: by what they are called, how large, how old and what is in them.

-path PATH         where to search, for example /etc; may be repeated, as all of the following up to -sha3
-name REGEX        the file's name; "!REGEX" for those that it does not match
-size SIZE         <10m, >1g, or exactly 1024; k, m, g and t are units of 1024
-mode REGEX        the mode as in -rwxr-xr-x or urwxr-xr-x (set-user-id)
-mtime AGE         <90d: changed within 90 days; >12h: not changed for 12 hours; d, h, m
-content REGEX     a line of the file; "!REGEX" for files without such a line
-md5, -sha1, -sha2, -sha3 HASH   the length of -sha2 and -sha3 says which one
-mismatch KIND     turns around name, size, mode, mtime, content, md5, sha1, sha2 or sha3
-matchall          all of them must fit the same file; the default
-matchany          each is looked for apart
-macroal           -content must fit all lines; of "!REGEX", no line may
-maxdepth N        how many directories deep; 1000
-matchlimit N      how many files are told; 1000, 0 for all
-newest N          the N files that were changed last, of those that fit; of all files without any check
-maxerrors N       how many errors are told; 30, 0 for all
-returnsha256      tells each file's SHA-256
-decompress        looks into gzip files
-source SOURCE     guest (the default), memory, or disk
-filesystem N      which one, for -source disk
-verbose           is accepted, and changes nothing`;

/** Looks for files of the guest (MIG's module file), from outside. */
class FileInvestigation extends Investigation<FileParameters, Elements, Statistics> {
  protected readonly schema = Parameters;

  override validateParameters(): void {
    const { searches, source, filesystem } = this.parameters;
    if (Object.keys(searches).length === 0) throw new Error("there is no search: searches needs at least one label");
    if (filesystem !== undefined && source !== "disk") throw new Error('filesystem is for source "disk" only');
    for (const [label, search] of Object.entries(searches)) {
      if (label === "") throw new Error("empty labels are not permitted");
      if (!LABEL.test(label)) throw new Error(`the label ${JSON.stringify(label)} must match ${LABEL.source}`);
      makeSearch(label, search, 0n);
    }
  }

  protected async investigate(): Promise<Findings<Elements, Statistics>> {
    const began = performance.now();
    const { signal } = this.context;
    const nowNs = this.#readTime();
    const searches = Object.entries(this.parameters.searches).map(([label, one]) => makeSearch(label, one, nowNs));
    const { source, filesystem } = this.parameters;
    const files = await GuestFiles.open({ source, filesystem });
    try {
      const findings = await searchFiles(files, searches, signal);
      const elements = Object.fromEntries(searches.map((search) => [search.label, this.#describe(search, findings)]));
      const totalhits = [...findings.hits.values()].reduce((sum, hits) => sum + hits.length, 0);
      const statistics = {
        filescount: findings.filesCount,
        openfailed: findings.openFailed,
        totalhits,
        exectime: formatDuration((performance.now() - began) * 1e6),
        source: files.sources,
      };
      const errors = this.#limit([...files.problems, ...findings.errors]);
      return { found: totalhits > 0, elements, statistics, errors };
    } finally {
      await files.close();
    }
  }

  printResults(result: InvestigationResult, foundOnly: boolean): string[] {
    const lines = Object.entries((result.elements ?? {}) as Elements).flatMap(([label, files]) =>
      files.filter(({ file }) => file !== "" || !foundOnly).map((one) => printFile(label, one)),
    );
    if (foundOnly) return lines;
    const {
      filescount = 0,
      openfailed = 0,
      totalhits = 0,
      exectime = "0s",
    } = (result.statistics ?? {}) as Partial<Statistics>;
    const statistics = `${filescount} files checked, ${openfailed} failed to open, ${totalhits} matched, ran in ${exectime}.`;
    return [...lines, ...(result.errors ?? []), `Statistics: ${statistics}`];
  }

  paramsParser(args: readonly string[]): FileParameters {
    const flags = parseFlags(args, FLAGS, HELP);
    if (args.length === 0) throw new UsageShown(HELP);
    if (flags["matchall"] === true && flags["matchany"] === true)
      throw new Error("-matchall and -matchany exclude each other");
    const { matchany, matchall, source, filesystem, path = [], ...rest } = flags;
    delete rest["verbose"];
    const isOption = (name: string) => Object.hasOwn(Options.shape, name);
    const options = Object.fromEntries(Object.entries(rest).filter(([name]) => isOption(name)));
    const wanted = Object.entries(rest).filter(([name]) => !isOption(name));
    const search = {
      paths: path,
      ...Object.fromEntries(wanted.map(([name, value]) => [PARAMETERS[name as keyof typeof PARAMETERS], value])),
      options: { ...options, matchall: matchany !== true && matchall !== false },
    };
    return this.accept({
      searches: { s1: search },
      ...(source === undefined ? {} : { source }),
      ...(filesystem === undefined ? {} : { filesystem }),
    });
  }

  async paramsCreator(prompt: ParameterPrompt): Promise<FileParameters> {
    prompt.tell(HELP);
    prompt.tell('One flag and its value on each line, as in "name passwd"; "done" at the end.');
    const words: string[] = [];
    for (;;) {
      const line = await prompt.ask("file> ");
      if (line === undefined) throw new UsageShown("no parameters were given");
      if (line === "help") prompt.tell(HELP);
      else if (line !== "done" && line !== "") words.push(...splitLine(line));
      if (line !== "done") continue;
      try {
        return this.paramsParser(words);
      } catch (error) {
        prompt.tell(`${(error as Error).message}; once more, from the beginning`);
        words.length = 0;
      }
    }
  }

  enhancePrivacy(result: InvestigationResult): InvestigationResult {
    const elements = Object.entries((result.elements ?? {}) as Elements).map(([label, files]) => [
      label,
      files.map(mask),
    ]);
    return {
      ...result,
      elements: result.elements === null ? null : (Object.fromEntries(elements) as Elements),
      errors: result.errors && result.errors.map(() => MASKED),
    };
  }

  /** Ages are by the guest's clock; a disk without a living guest has none. */
  #readTime(): bigint {
    try {
      return this.context.getGuest().clock.realTimeNs;
    } catch {
      return BigInt(Date.now()) * 1_000_000n;
    }
  }

  #describe(search: FileSearch, { hits }: FileFindings): MatchedFile[] {
    const parameters = this.parameters.searches[search.label] as SearchParameters;
    const found = hits.get(search) ?? [];
    if (search.isMatchAll) {
      const echo = { ...parameters, options: { ...parameters.options, matchlimit: 0, maxdepth: 0 } };
      return found.length === 0
        ? [describeNothing(echo, findReason(search))]
        : found.map((hit) => describeHit(hit, echo));
    }
    const options = { ...Options.parse({}), matchall: false, matchlimit: 0, maxdepth: 0 };
    return search.checks.flatMap((check) => {
      const own = found.filter((hit) => hit.check === check);
      const echo = { paths: parameters.paths, [PARAMETERS[check.kind]]: [check.value], options };
      if (own.length === 0) return [describeNothing(echo, search.isFull ? describeLimit(parameters) : undefined)];
      return own.map((hit) => describeHit(hit, { ...echo, paths: [folderOf(hit.place.path)] }));
    });
  }

  #limit(errors: readonly string[]): string[] {
    const limits = Object.values(this.parameters.searches).map(({ options: { maxerrors } }) => maxerrors);
    const most = limits.includes(0) ? Infinity : Math.max(...limits);
    const left = errors.length - most;
    return left > 0
      ? [...errors.slice(0, most), `${left} errors were not returned (maxerrors is ${most})`]
      : [...errors];
  }
}

function makeSearch(label: string, search: SearchParameters, nowNs: bigint): FileSearch {
  try {
    return new FileSearch(label, search satisfies FileSearchQuery, nowNs);
  } catch (error) {
    throw new Error(`search ${label}: ${(error as Error).message}`, { cause: error });
  }
}

function describeHit({ place, sha256 }: FileHit, search: Partial<SearchParameters>): MatchedFile {
  const { size, mode, modifiedNs } = place.facts;
  const fileinfo = { size, mode: formatMode(mode), lastmodified: formatTime(modifiedNs) };
  return { file: place.path, search, fileinfo: sha256 === undefined ? fileinfo : { ...fileinfo, sha256 } };
}

function describeNothing(search: Partial<SearchParameters>, reason: string | undefined): MatchedFile {
  const fileinfo = { size: 0, mode: "", lastmodified: "" };
  return { file: "", search, fileinfo, ...(reason === undefined ? {} : { reason }) };
}

/** Says which of the checks of a search that has found nothing no file fits; undefined when it has but one. */
function findReason(search: FileSearch): string | undefined {
  if (search.checks.length < 2) return undefined;
  const unmet = search.listUnmet().map(({ kind, value }) => `${kind}='${value}'`);
  if (unmet.length > 0) return `no file fits ${unmet.join(", nor ")}`;
  return "files fit each of the checks, and none fits all of them";
}

function describeLimit({ options }: SearchParameters): string {
  return `not searched to the end: the other checks have taken all ${options.matchlimit} matches (matchlimit)`;
}

/** Names and where they lie are what privacy is about; so is what was searched for there. */
function mask({ file, search, fileinfo }: MatchedFile): MatchedFile {
  return {
    file: file === "" ? "" : MASKED,
    search: { ...search, paths: search.paths?.map(() => MASKED) ?? [] },
    fileinfo,
  };
}

function printFile(label: string, { file, search, fileinfo, reason }: MatchedFile): string {
  const { lastmodified, mode, size, sha256 } = fileinfo;
  const hash = sha256 === undefined ? "" : `, sha256:${sha256}`;
  const what =
    file === ""
      ? `0 match found in search '${label}'`
      : `${file} [lastmodified:${lastmodified}, mode:${mode}, size:${size}${hash}] in search '${label}'`;
  const why = reason === undefined ? "" : `: ${reason}`;
  if (search.options?.matchall !== false) return what + why;
  const checks = KINDS.flatMap((kind) => (search[PARAMETERS[kind]] ?? []).map((value) => ` ${kind}='${value}'`));
  return `${what} on checks${checks.join("")}${why}`;
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

/** "name passwd" is -name passwd; what follows the first blank is one value. */
function splitLine(line: string): string[] {
  const [, name = "", value] = /^-?(\S+)(?:\s+(.*))?$/s.exec(line) ?? [];
  return value === undefined ? [`-${name}`] : [`-${name}`, value];
}

registerInvestigation("file", { newRun: (context: InvestigationContext) => new FileInvestigation(context) });
