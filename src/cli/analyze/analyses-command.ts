import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { Command } from "commander";
import type { AnalysisEntry } from "../../lab/analysis/analysis-database";
import { toColouredText } from "../../config/terminal-text";
import { ExitStatus } from "../exit-status";
import type { RunEnvironment } from "../run/run-environment";
import { UsageError } from "../errors";
import { renderTable } from "../text-table";
import { type AnalysesOptions, AnalysesUse, defineAnalysesCommand, readNumber } from "./analyses-use";
import { createCompareCommand } from "./compare-command";
import { createExportCommand } from "./export-command";

interface Options extends AnalysesOptions {
  readonly limit?: number;
}

/**
 * Creates the command `rebox analyses`.
 *
 * @param onStatus receives the exit status
 */
export function createAnalysesCommand(environment: RunEnvironment, onStatus: (status: number) => void): Command {
  const { stdout } = environment;
  const use = new AnalysesUse(environment, onStatus);
  const list = defineAnalysesCommand("list", "list the newest analyses, those that wait and run too")
    .option("--limit <count>", "so many", readNumber, 50)
    .action((options: Options) =>
      use.run(options, (database) => {
        const entries = database.list(options.limit);
        stdout.write(options.json === true ? `${JSON.stringify(entries, null, 2)}\n` : renderList(entries));
        return ExitStatus.success;
      }),
    );
  const show = defineAnalysesCommand("show", "tell how an analysis has gone, and where its results are")
    .argument("<id>", "its number", readNumber)
    .action((id: number, options: Options) =>
      use.run(options, async (database, labFolder) => {
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
    .summary("list, show, compare and export the analyses of a lab")
    .description("Tells of the analyses of a lab: docs/guides/analyses.md.")
    .helpOption("-h, --help", "show this help")
    .addCommand(list)
    .addCommand(show)
    .addCommand(createCompareCommand(use))
    .addCommand(createExportCommand(use));
}

function renderList(entries: readonly AnalysisEntry[]): string {
  const rows = entries.map(({ id, created, phase, outcome, machine, target, command, reason }) => [
    ...[String(id), created.slice(0, 19).replace("T", " "), outcome ?? phase, machine ?? "any"],
    [target === undefined ? undefined : relative("", target), command].filter(Boolean).join(": "),
    reason ?? "",
  ]);
  return renderTable([["id", "created (UTC)", "state", "machine", "target", "reason"], ...rows]);
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
