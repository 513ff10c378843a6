import { existsSync, readdirSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import type { AnalysisDatabase, AnalysisEntry } from "../../lab/analysis/analysis-database";
import { toColouredText } from "../../config/terminal-text";
import { ExitStatus } from "../exit-status";
import { createLabOption, getLabFolder } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";
import { UsageError } from "../errors";

interface Options {
  readonly lab?: string;
  readonly json?: boolean;
  readonly limit?: number;
}

/**
 * Creates the command `rebox analyses`.
 *
 * @param onStatus receives the exit status
 */
export function createAnalysesCommand(environment: RunEnvironment, onStatus: (status: number) => void): Command {
  const { stdout, stderr } = environment;
  const use = async (
    options: Options,
    run: (database: AnalysisDatabase, labFolder: string) => number | Promise<number>,
  ) => {
    const { getDatabaseFile, openDatabase } = await import("../../lab/analysis/analysis-places.js");
    const { endLostAnalyses } = await import("../../lab/analysis/end-abandoned.js");
    const labFolder = resolve(getLabFolder(options));
    if (!existsSync(getDatabaseFile(labFolder))) throw new UsageError(`there are no analyses in ${labFolder}`);
    const database = openDatabase(labFolder);
    try {
      const log = (text: string) => void stderr.write(`rebox: ${text}\n`);
      await endLostAnalyses({ labFolder, database, api: environment.getApi(), log });
      onStatus(await run(database, labFolder));
    } finally {
      database.close();
    }
  };
  const define = (name: string, summary: string) =>
    new Command(name)
      .summary(summary)
      .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`)
      .helpOption("-h, --help", "show this help")
      .addOption(createLabOption())
      .option("--json", "print JSON");
  const list = define("list", "list the newest analyses, those that wait and run too")
    .option("--limit <count>", "so many", readNumber, 50)
    .action((options: Options) =>
      use(options, (database) => {
        const entries = database.list(options.limit);
        stdout.write(options.json === true ? `${JSON.stringify(entries, null, 2)}\n` : renderList(entries));
        return ExitStatus.success;
      }),
    );
  const show = define("show", "tell how an analysis has gone, and where its results are")
    .argument("<id>", "its number", readNumber)
    .action((id: number, options: Options) =>
      use(options, async (database, labFolder) => {
        const { getAnalysisFolder } = await import("../../lab/analysis/analysis-places.js");
        const entry = database.find(id);
        if (entry === undefined)
          throw new UsageError(`there is no analysis ${id}; rebox analyses list shows those that are`);
        const folder = getAnalysisFolder(labFolder, id);
        const files = existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith(".")) : [];
        const shown = { ...entry, folder, files: files.map((name) => join(folder, name)) };
        stdout.write(options.json === true ? `${JSON.stringify(shown, null, 2)}\n` : renderEntry(shown));
        return ExitStatus.success;
      }),
    );
  return new Command("analyses")
    .summary("list and show the analyses of a lab")
    .description("Tells of the analyses of a lab: docs/guides/analyses.md.")
    .helpOption("-h, --help", "show this help")
    .addCommand(list)
    .addCommand(show);
}

function renderList(entries: readonly AnalysisEntry[]): string {
  const rows = entries.map(({ id, created, phase, outcome, machine, target, command, reason }) => [
    ...[String(id), created.slice(0, 19).replace("T", " "), outcome ?? phase, machine ?? "any"],
    [target === undefined ? undefined : relative("", target), command].filter(Boolean).join(": "),
    reason ?? "",
  ]);
  const all = [["id", "created (UTC)", "state", "machine", "target", "reason"], ...rows].map((row) =>
    row.map((cell) => toColouredText(cell).split("\n")[0]!),
  );
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

function renderEntry(entry: AnalysisEntry & { readonly files: readonly string[] }): string {
  const { id, phase, outcome, reason, created, ended, machine, target, command, timeoutS, scripts, options } = entry;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["analysis", String(id)],
    ["state", outcome ?? phase],
    ["reason", reason],
    ["created", created],
    ["ended", ended],
    ["machine", machine ?? "any"],
    ["target", target],
    ["command", command],
    ["timeout", `${timeoutS} s`],
    ["scripts", scripts.join(", ") || undefined],
    ["options", Object.entries(options).map(([key, value]) => `${key}=${value}`).join(",") || undefined], // prettier-ignore
    ...entry.files.map((file, index) => [index === 0 ? "results" : "", relative("", file)] as const),
  ];
  const shown = facts.filter(([, value]) => value !== undefined);
  return shown.map(([name, value]) => `${name.padEnd(10)}${toColouredText(value!)}\n`).join("");
}

function readNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("It must be a number of an analysis.");
  return Number(text);
}
