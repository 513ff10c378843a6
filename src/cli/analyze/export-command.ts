import { relative, resolve } from "node:path";
import { type Command, Option } from "commander";
import type { ExportForm } from "../../lab/analysis/export/export-analysis";
import { ExitStatus } from "../exit-status";
import { type AnalysesOptions, type AnalysesUse, defineAnalysesCommand, getEndedFolder, readNumber } from "./analyses-use"; // prettier-ignore

interface Options extends AnalysesOptions {
  readonly as: ExportForm;
  readonly output?: string;
}

/** The forms, here too, so that the command line needs not the lab for its help. */
export const EXPORT_FORM_NAMES = [
  "perfetto",
  "misp",
  "navigator",
  "pdf",
  "zip",
] as const satisfies readonly ExportForm[];

const AFTER_HELP = `
perfetto   a trace for ui.perfetto.dev: a track for each process, its acts on it
misp       an event for MISP: the sample, what it reached and left, techniques
navigator  a layer for the ATT&CK Navigator
pdf        the report, printed by Chromium
zip        all results in one file, with the password "infected"

Example: rebox analyses export 7 --as zip --output sample.zip`;

/** Creates the command `rebox analyses export`. */
export function createExportCommand(use: AnalysesUse): Command {
  return defineAnalysesCommand("export", "write an analysis for another tool")
    .argument("<id>", "its number", readNumber)
    .addOption(new Option("--as <form>", "the form").choices(EXPORT_FORM_NAMES).makeOptionMandatory())
    .option("--output <file>", "the file; analysis-ID with the form's ending in this folder without it")
    .addHelpText("after", AFTER_HELP)
    .action((id: number, options: Options) =>
      use.run(options, async (database, labFolder) => {
        const folder = await getEndedFolder(database, labFolder, id);
        const { EXPORT_FORMS, exportAnalysis } = await import("../../lab/analysis/export/export-analysis.js");
        const file = resolve(options.output ?? `analysis-${id}${EXPORT_FORMS[options.as]}`);
        await exportAnalysis(folder, options.as, file, new AbortController().signal);
        const { stdout } = use.environment;
        if (options.json === true) stdout.write(`${JSON.stringify({ id, form: options.as, file })}\n`);
        else stdout.write(`analysis ${id} is in ${relative("", file)}\n`);
        return ExitStatus.success;
      }),
    );
}
