import { type Command, InvalidArgumentError, Option } from "commander";
import type { AnalysisComparison } from "../../lab/analysis/compare/compare-analyses";
import type { ExportForm } from "../../lab/analysis/export/export-analysis";
import { readNumber } from "../analyze/analyses-use";
import { renderComparison } from "../analyze/compare-command";
import { EXPORT_FORM_NAMES } from "../analyze/export-command";
import { renderTable } from "../text-table";
import { fetchTo } from "./look-commands";
import { defineRemoteCommand, type RemoteContext, type RemoteOptions } from "./remote-command";
import { createJsonBody, RemoteServer } from "./remote-server";

interface ManageOptions extends RemoteOptions {
  readonly as: ExportForm;
  readonly output?: string;
  readonly json?: boolean;
  readonly pid?: number;
  readonly ask?: readonly string[];
  readonly at: number;
}

interface RemoteRecording {
  readonly name: string;
  readonly folder: string;
  readonly made: string;
  readonly logSize: number;
}

/** Creates the commands that repeat, remove, compare and export analyses of a server, and that look into its recordings. */
export function createManageCommands({ environment: { stdout } }: RemoteContext): Command[] {
  const print = (value: unknown) => stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
  return [
    defineRemoteCommand("repeat", "ask for the same analysis again")
      .argument("<id>", "its number", readNumber)
      .option("--json", "print JSON")
      .action(async (id: number, options: ManageOptions) => {
        const { ids } = await new RemoteServer(options).read<{ ids: number[] }>("POST", `/api/v1/analyses/${id}/repeat`); // prettier-ignore
        if (options.json === true) print({ ids });
        else for (const each of ids) stdout.write(`analysis ${each}: queued\n`);
      }),
    defineRemoteCommand("remove", "remove an analysis that has ended, with all its results")
      .argument("<id>", "its number", readNumber)
      .action(async (id: number, options: ManageOptions) => {
        (await new RemoteServer(options).open("DELETE", `/api/v1/analyses/${id}`)).resume();
        stdout.write(`analysis ${id}: removed\n`);
      }),
    defineRemoteCommand("compare", "tell what one analysis' target did and the other's did not")
      .argument("<one>", "the number of an analysis", readNumber)
      .argument("<other>", "the number of another", readNumber)
      .option("--json", "print JSON")
      .action(async (one: number, other: number, options: ManageOptions) => {
        const comparison = await new RemoteServer(options).read<AnalysisComparison>("GET", `/api/v1/compare?one=${one}&other=${other}`); // prettier-ignore
        if (options.json === true) print(comparison);
        else stdout.write(renderComparison(comparison));
      }),
    defineRemoteCommand("export", "fetch an analysis in the form of another tool")
      .argument("<id>", "its number", readNumber)
      .addOption(new Option("--as <form>", "the form").choices(EXPORT_FORM_NAMES).makeOptionMandatory())
      .option("-o, --output <file>", "the file; analysis-ID with the form's ending in this folder without it")
      .action(async (id: number, options: ManageOptions) => {
        const { EXPORT_FORMS } = await import("../../lab/analysis/export/export-analysis.js");
        const output = options.output ?? `analysis-${id}${EXPORT_FORMS[options.as]}`;
        await fetchTo({ ...options, output }, `/api/v1/analyses/${id}/export/${options.as}`, stdout);
        stdout.write(`analysis ${id} is in ${output}\n`);
      }),
    defineRemoteCommand("recordings", "list the recordings of the server's lab")
      .option("--json", "print JSON")
      .action(async (options: ManageOptions) => {
        const { recordings } = await new RemoteServer(options).read<{ recordings: RemoteRecording[] }>("GET", "/api/v1/recordings"); // prettier-ignore
        const rows = recordings.map(({ name, folder, made, logSize }) => [name, folder, made.slice(0, 19).replace("T", " "), String(logSize)]); // prettier-ignore
        if (options.json === true) print(recordings);
        else stdout.write(renderTable([["name", "folder", "begun (UTC)", "bytes"], ...rows]));
      }),
    defineRemoteCommand("replay", "replay a recording up to a moment, and ask there")
      .argument("<name>", "boot, or analysis:7")
      .requiredOption("--at <count>", "how many instructions the guest has executed then", readCount)
      .option("--ask <words...>", "place, code, registers, processes, modules, threads, files, sockets, memory")
      .option("--pid <pid>", "the process that is meant", readCount)
      .action(async (name: string, { at, ask, pid, ...options }: ManageOptions) => {
        const body = createJsonBody({ at, ...(ask && { questions: ask }), ...(pid !== undefined && { pid }) });
        const { text } = await new RemoteServer(options).read<{ text: string }>("POST", `/api/v1/recordings/${encodeURIComponent(name)}/ask`, body); // prettier-ignore
        stdout.write(`${text}\n`);
      }),
  ];
}

/** Reads a count of instructions, or a pid. */
function readCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("It must be a number, in decimal.");
  return Number(text);
}
