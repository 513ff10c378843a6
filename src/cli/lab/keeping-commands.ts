import { Command, InvalidArgumentError } from "commander";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { UsageError } from "../errors";
import type { RunEnvironment } from "../run/run-environment";
import { renderTable } from "../text-table";
import { createLabOption, getLabFolder } from "./lab-folder";

const MIB = 1 << 20;
const JUDGEMENTS = ["malicious", "suspicious", "inconspicuous", "none"];

interface PruneOptions {
  readonly lab?: string;
  readonly olderThan?: number;
  readonly largerThan?: number;
  readonly verdict?: readonly string[];
  readonly keep?: number;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Creates `rebox lab prune`, `backup` and `restore`. */
export function createKeepingCommands(environment: RunEnvironment): Command[] {
  const { stdout } = environment;
  const prune = new Command("prune")
    .summary("remove analyses by age, size and verdict")
    .description(
      "Removes analyses that have ended, with their results and targets. Those are chosen for which all is true that is given; one of them " +
        "has to be. In a lab of a cluster they are removed there, too, with files in its store that nothing needs any more.",
    )
    .helpOption("-h, --help", "show this help")
    .addOption(createLabOption())
    .option("--older-than <days>", "they have ended so many days ago", readNumber)
    .option("--larger-than <MiB>", "their results take more", readNumber)
    .option("--verdict <judgement>", `${JUDGEMENTS.join(", ")}; may be given more than once`, readJudgement)
    .option("--keep <MiB>", "of those, keep the newest that take so much together", readNumber)
    .option("--dry-run", "list them, and remove none")
    .option("--json", "print JSON")
    .action(async (options: PruneOptions) => {
      const { olderThan, largerThan, verdict, keep } = options;
      if ([olderThan, largerThan, verdict, keep].every((given) => given === undefined))
        throw new UsageError("say which: --older-than, --larger-than, --verdict or --keep");
      const labFolder = findLab(options);
      const { pruneLab } = await import("../../server/hosts/prune-lab.js");
      const retention = { olderThanDays: olderThan, largerThan: largerThan && largerThan * MIB, judgements: verdict, keeps: keep === undefined ? undefined : keep * MIB }; // prettier-ignore
      const log = (text: string) => void environment.stderr.write(`rebox: ${text}\n`);
      const { old, stored } = await withFiles(() => pruneLab(labFolder, retention, options.dryRun === true, log));
      const size = old.reduce((sum, each) => sum + each.size, 0);
      if (options.json === true) {
        const analyses = old.map(({ found, size: bytes }) => ({ id: found.id, ended: found.ended, judgement: found.judgement, size: bytes })); // prettier-ignore
        stdout.write(`${JSON.stringify({ analyses, size, stored })}\n`);
        return;
      }
      const rows = old.map(({ found, size: bytes }) => [String(found.id), (found.ended ?? found.created).slice(0, 19).replace("T", " "), found.judgement ?? "none", toMiB(bytes)]); // prettier-ignore
      if (rows.length > 0) stdout.write(renderTable([["id", "ended (UTC)", "verdict", "MiB"], ...rows]));
      const what = `${old.length} ${old.length === 1 ? "analysis" : "analyses"} of ${toMiB(size)} MiB`;
      stdout.write(options.dryRun === true ? `${what} would be removed\n` : `removed ${what}${stored > 0 ? `, and ${stored} files from the cluster's store` : ""}\n`); // prettier-ignore
    });
  const backup = new Command("backup")
    .summary("copy a lab into a folder")
    .description(
      "Copies a lab into a folder: configuration, modules, analyses that have ended, targets, users. The lab may be used meanwhile. Done again into " +
        "the same folder it copies what is new. Golden states are left out unless --golden is given.",
    )
    .helpOption("-h, --help", "show this help")
    .argument("<folder>", "of the backup")
    .addOption(createLabOption())
    .option("--golden", "with the golden states")
    .action(async (folder: string, options: { lab?: string; golden?: boolean }) => {
      const { backupLab } = await import("../../lab/keeping/backup-lab.js");
      const labFolder = findLab(options);
      const { files, size } = await withFiles(() => backupLab(labFolder, resolve(folder), { withGolden: options.golden === true })); // prettier-ignore
      stdout.write(`${folder} has ${files} files of ${toMiB(size)} MiB\n`);
    });
  const restore = new Command("restore")
    .summary("make a lab of a backup")
    .description("Makes a lab of a backup, in a new folder. Every file is checked.")
    .helpOption("-h, --help", "show this help")
    .argument("<backup>", "the folder of the backup")
    .argument("<folder>", "of the new lab")
    .action(async (from: string, folder: string) => {
      const { restoreLab } = await import("../../lab/keeping/backup-lab.js");
      const { files, size } = await withFiles(() => restoreLab(resolve(from), resolve(folder)));
      stdout.write(`${folder} is a lab of ${files} files, ${toMiB(size)} MiB\n`);
    });
  return [prune, backup, restore];
}

/** Does something with files. @throws UsageError in place of what the system refuses: the disk is full, a folder is another user's */
async function withFiles<Result>(act: () => Promise<Result>): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Error && "syscall" in error) throw new UsageError(error.message);
    throw error;
  }
}

function findLab(options: { readonly lab?: string }): string {
  const labFolder = resolve(getLabFolder(options));
  if (!existsSync(`${labFolder}/conf`)) throw new UsageError(`${labFolder} is no lab: it has no folder conf; make one with rebox lab init`); // prettier-ignore
  return labFolder;
}

function toMiB(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}

function readNumber(text: string): number {
  if (!/^\d{1,9}(\.\d+)?$/.test(text)) throw new InvalidArgumentError("It must be a number from 0.");
  return Number(text);
}

function readJudgement(text: string, previous: readonly string[] = []): string[] {
  if (!JUDGEMENTS.includes(text)) throw new InvalidArgumentError(`It must be one of ${JUDGEMENTS.join(", ")}.`);
  return [...previous, text];
}
