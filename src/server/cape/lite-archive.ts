import { existsSync, linkSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { zipFiles } from "../../lab/analysis/export/zip-analysis";
import { readArtefacts } from "../../lab/analysis/report/artefacts";

/**
 * Makes the archive that CAPE's client of Assemblyline reads: the report, files.json with a line for each file that the target wrote, those
 * files, the pictures and the frames. It has no password, as CAPE's has none.
 *
 * @param folder of the analysis
 * @param file is written
 * @param makeLite writes lite.json
 * @param isReportOnly leaves out all but the report, whose name is report.json then
 * @throws AnalysisError when 7-Zip is missing
 */
export async function makeLiteArchive(
  folder: string,
  file: string,
  makeLite: (file: string) => Promise<void>,
  signal: AbortSignal,
  isReportOnly = false,
): Promise<void> {
  const staged = join(dirname(file), "staged");
  mkdirSync(join(staged, "reports"), { recursive: true });
  const name = isReportOnly ? "reports/report.json" : "reports/lite.json";
  await makeLite(join(staged, name));
  const names = [name];
  if (!isReportOnly) {
    const add = (from: string, to: string): void => {
      if (!existsSync(from)) return;
      mkdirSync(dirname(join(staged, to)), { recursive: true });
      // A second name on the same file system: nothing is copied.
      linkSync(from, join(staged, to));
      names.push(to);
    };
    writeFileSync(join(staged, "files.json"), stageFiles(folder, add));
    names.push("files.json");
    const shots = join(folder, "shots");
    for (const each of existsSync(shots) ? readdirSync(shots).filter((shot) => shot.endsWith(".png")) : [])
      add(join(shots, each), `shots/${each}`);
    // Of the two, the older form is the one that its readers know.
    add(join(folder, "dump.pcap"), "dump.pcap");
  }
  await zipFiles(staged, names, file, signal, "");
}

/** Adds the files that the target wrote. @returns a line of JSON for each */
function stageFiles(folder: string, add: (from: string, to: string) => void): string {
  const seen = new Set<string>();
  const lines: string[] = [];
  for (const { path, sha256, moments } of readArtefacts(folder)) {
    if (sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256) || seen.has(sha256)) continue;
    if (!existsSync(join(folder, "artefacts", sha256))) continue;
    seen.add(sha256);
    add(join(folder, "artefacts", sha256), `files/${sha256}`);
    // The reader takes the name from what follows the last backslash.
    const filepath = path.replaceAll("/", "\\");
    lines.push(`${JSON.stringify({ path: `files/${sha256}`, filepath, pids: [...new Set(moments.map(({ pid }) => pid))], ppids: [], metadata: "", category: "files" })}\n`); // prettier-ignore
  }
  return lines.join("");
}
