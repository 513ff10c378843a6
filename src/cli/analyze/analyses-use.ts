import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import type { AnalysisDatabase } from "../../lab/analysis/analysis-database";
import { createLabOption, getLabFolder } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";
import { UsageError } from "../errors";

/** The options that every command on analyses has. */
export interface AnalysesOptions {
  readonly lab?: string;
  readonly json?: boolean;
}

/** Opens the analyses of a lab for commands that look at them. */
export class AnalysesUse {
  /** @param onStatus receives the exit status */
  constructor(
    readonly environment: RunEnvironment,
    private readonly onStatus: (status: number) => void,
  ) {}

  /** Runs a command on the analyses of a lab, once those whose processes are gone have ended. @throws UsageError when it has none */
  async run(
    options: AnalysesOptions,
    act: (database: AnalysisDatabase, labFolder: string) => number | Promise<number>,
  ): Promise<void> {
    const { stderr } = this.environment;
    const { getDatabaseFile, openDatabase } = await import("../../lab/analysis/analysis-places.js");
    const { endLostAnalyses } = await import("../../lab/analysis/end-abandoned.js");
    const labFolder = resolve(getLabFolder(options));
    if (!existsSync(getDatabaseFile(labFolder))) throw new UsageError(`there are no analyses in ${labFolder}`);
    const database = openDatabase(labFolder);
    try {
      const log = (text: string) => void stderr.write(`rebox: ${text}\n`);
      await endLostAnalyses({ labFolder, database, api: this.environment.getApi(), log });
      this.onStatus(await act(database, labFolder));
    } finally {
      database.close();
    }
  }
}

/** Makes a command on analyses. */
export function defineAnalysesCommand(name: string, summary: string): Command {
  return new Command(name)
    .summary(summary)
    .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`)
    .helpOption("-h, --help", "show this help")
    .addOption(createLabOption())
    .option("--json", "print JSON");
}

/** Returns the folder of an analysis that has ended. @throws UsageError when there is none, or it goes on */
export async function getEndedFolder(database: AnalysisDatabase, labFolder: string, id: number): Promise<string> {
  const { getAnalysisFolder } = await import("../../lab/analysis/analysis-places.js");
  const entry = database.find(id);
  if (entry === undefined) throw new UsageError(`there is no analysis ${id}; rebox analyses list shows those that are`);
  if (entry.outcome === undefined) throw new UsageError(`analysis ${id} has not ended: ${entry.phase}; wait for it`);
  const folder = getAnalysisFolder(labFolder, id);
  if (!existsSync(folder)) throw new UsageError(`analysis ${id} has left nothing: ${entry.reason ?? entry.outcome}`);
  return folder;
}

/** Parses the number of an analysis. */
export function readNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("It must be a number of an analysis.");
  return Number(text);
}
