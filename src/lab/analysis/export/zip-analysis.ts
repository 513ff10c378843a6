import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { ANALYSIS_RECORDING } from "../../../machine/recording/recorded-machine";
import { KEPT_START } from "../../../machine/recording/start-state";
import { AnalysisError } from "../../errors";
import { runProgram } from "../../machinery/processes/run-program";
import { listFiles } from "../report/report";
import { getArchiveProgram } from "./archive-program";

/** The password that archives of hostile files have by custom: it keeps scanners and double clicks from them, and no secret. */
export const CUSTOMARY_PASSWORD = "infected";
/** Packing a dump of memory takes its time, in milliseconds. */
const LIMIT_MS = 3_600_000;

/** The golden state that a recording begins from: it is the lab's, has all of a machine's memory, and is replayed where it lies. */
const START = join(ANALYSIS_RECORDING, KEPT_START, "/");

/**
 * Packs all results of an analysis into one zip file with the customary password (ZipCrypto, which every tool opens), without the
 * golden state that its recording begins from.
 *
 * @param folder of the analysis
 * @param file is written; one that is there is replaced
 * @throws AnalysisError when 7-Zip is missing or there is nothing; MachineryError when it fails
 */
export async function zipAnalysis(folder: string, file: string, signal: AbortSignal): Promise<void> {
  // Links are left out: they might lead out of the folder.
  const files = listFiles(folder, "").map(({ path }) => path).filter((path) => !basename(path).startsWith(".") && !path.startsWith(START)); // prettier-ignore
  await zipFiles(folder, files, file, signal);
}

/**
 * Packs some files of a folder into one zip file.
 *
 * @param names relative to the folder; those with characters that a list of names cannot have are left out
 * @param file is written; one that is there is replaced
 * @param password of ZipCrypto; "" makes a file without one
 * @throws AnalysisError when 7-Zip is missing or there is nothing; MachineryError when it fails
 */
export async function zipFiles(
  folder: string,
  names: readonly string[],
  file: string,
  signal: AbortSignal,
  password = CUSTOMARY_PASSWORD,
): Promise<void> {
  const program = getArchiveProgram();
  const listed = names.filter((name) => !/\p{Cc}/u.test(name));
  if (listed.length === 0) throw new AnalysisError(`${folder} has no results`);
  const beside = mkdtempSync(join(dirname(resolve(file)), ".rebox-zip-"));
  try {
    const list = join(beside, "files");
    writeFileSync(list, `${listed.join("\n")}\n`);
    const packed = join(beside, "analysis.zip");
    const secret = password === "" ? [] : ["-mem=ZipCrypto", `-p${password}`];
    const options = ["-tzip", ...secret, "-bso0", "-bsp0", "-sccUTF-8", "-scsUTF-8", "-spd"];
    await runProgram(program, ["a", ...options, packed, `@${list}`], {
      ...{ signal, timeoutMs: LIMIT_MS, packageName: "7zip", cwd: folder },
    });
    renameSync(packed, file);
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
}
