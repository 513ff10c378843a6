import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { readArtefacts, readCode, readCores } from "../analysis/report/artefacts";
import { getScore, listTechniques } from "./yara-meta";
import { MATCH_OPTIONS, readMatches, runYara, type YaraMatch } from "./yara-program";
import type { YaraRules } from "./yara-rules";

/** For one file, in seconds. */
const FILE_LIMIT_S = 60;
/** For all. */
const LIMIT_MS = 600_000;
const MOST_MATCHES = 1000;
/** The name by which the sample is scanned: its own may have anything in it. */
const SAMPLE = "sample";

/** A rule that fits something of an analysis: the facts of an event yara.matched. */
export interface YaraEvent {
  readonly rule: string;
  /** The file of the rule, relative to the lab. */
  readonly file: string;
  /** "sample", "file" or "memory". */
  readonly what: string;
  /** The path in the guest; of memory the name of the core; undefined for the sample. */
  readonly path: string | undefined;
  /** Whose memory it is. */
  readonly pid?: number;
  /** Of the content. */
  readonly sha256: string | undefined;
  readonly score: number;
  readonly techniques: readonly string[];
  /** Of the rule, for people. */
  readonly description: string | undefined;
  readonly strings: YaraMatch["strings"];
}

/** The places of the files that are scanned. */
export interface ScanPlaces {
  readonly labFolder: string;
  /** Of the analysis. */
  readonly folder: string;
  /** The path of the sample. */
  readonly target: string | undefined;
}

/**
 * Asks the rules of a lab about the sample of an analysis, the files that it left, and its memory.
 *
 * @param warn is told what could not be scanned
 * @throws AnalysisError when there is no program yara
 */
export async function scanArtefacts(
  { files }: YaraRules,
  { labFolder, folder, target }: ScanPlaces,
  warn: (text: string) => void,
): Promise<YaraEvent[]> {
  if (files.length === 0) return [];
  const paths = new Map(readArtefacts(folder).flatMap(({ sha256, path }) => (sha256 === undefined ? [] : [[sha256, path]]))); // prettier-ignore
  const own = mkdtempSync(join(tmpdir(), "rebox-yara-"));
  try {
    const names = [...paths.keys()].filter((name) => /^[0-9a-f]{64}$/.test(name));
    for (const name of names) symlinkSync(join(folder, "artefacts", name), join(own, name));
    const cores = new Map(readCores(folder).flatMap(({ core, pid }) => (core === undefined ? [] : [[core, pid]])));
    for (const name of cores.keys()) symlinkSync(join(folder, "cores", name), join(own, name));
    // Its core has the same and more, but of a packed program it would match again at the end.
    for (const { raw, pid } of readCode(folder)) {
      if (raw === undefined) continue;
      symlinkSync(join(folder, "code", raw), join(own, raw));
      cores.set(raw, pid);
    }
    if (target !== undefined) symlinkSync(target, join(own, SAMPLE));
    const wanted = [...(target === undefined ? [] : [SAMPLE]), ...names, ...cores.keys()].map((name) =>
      join(own, name),
    );
    const list = join(own, "list");
    writeFileSync(list, `${wanted.join("\n")}\n`);
    const rules = files.map((file, index) => `r${index}:${file}`);
    const args = [...MATCH_OPTIONS, `--timeout=${FILE_LIMIT_S}`, "--scan-list", ...rules, list];
    const { status, output, errors } = await runYara(args, LIMIT_MS);
    if (status !== 0) warn(`yara has not scanned everything: ${errors.replaceAll(own, "").trim().slice(0, 500)}`);
    // YARA's threads end as they like. What is told first is the sample, and files come before memory, which has much the same.
    const places = new Map(wanted.map((path, place) => [path, place]));
    const matches = readMatches(output).toSorted((one, other) => places.get(one.path)! - places.get(other.path)!);
    if (matches.length > MOST_MATCHES) warn(`${matches.length} matches of YARA; the first ${MOST_MATCHES} are told`);
    return matches.slice(0, MOST_MATCHES).map(({ source, rule, meta, path, strings }) => {
      const name = relative(own, path);
      const description = typeof meta["description"] === "string" ? meta["description"] : undefined;
      const pid = cores.get(name);
      const what = name === SAMPLE ? "sample" : pid === undefined ? "file" : "memory";
      return {
        ...{ rule, file: relative(labFolder, files[source] ?? ""), what },
        ...{ path: pid === undefined ? paths.get(name) : name, sha256: what === "file" ? name : undefined },
        ...(pid === undefined ? {} : { pid }),
        ...{ score: getScore(meta), techniques: listTechniques(meta), description, strings },
      };
    });
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}
