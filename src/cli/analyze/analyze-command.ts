import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import type { AnalysisEntry } from "../../lab/analysis/analysis-database";
import { ExitStatus, getSignalStatus } from "../exit-status";
import { createLabOption, getLabFolder } from "../lab/lab-folder";
import type { RunEnvironment } from "../run/run-environment";
import { UsageError } from "../errors";
import { AnalysisProgress } from "./analysis-progress";
import {
  type AnalyzeOptions,
  collect,
  createRequests,
  parseCount,
  parseNetwork,
  parseOption,
  parseOptions,
  parsePriority,
  parseSeconds,
} from "./analyze-options";
import { addTargetOptions } from "./target-options";

const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const DEFAULT_TIMEOUT_S = 120;

const AFTER_HELP = `
Exit status: 0 all analyses have finished; 1 one has failed, or was lost; 128 + n cancelled by signal n (130 for Ctrl-C; a second
Ctrl-C ends at once, and what runs is cleaned up behind it).

Example: rebox analyze --machine office --target sample --command './sample --quick' --timeout 60`;

/**
 * Creates the command `rebox analyze`.
 *
 * @param onStatus receives the exit status
 */
export function createAnalyzeCommand(environment: RunEnvironment, onStatus: (status: number) => void): Command {
  const command = new Command("analyze")
    .summary("execute a file or a command in a machine of a lab, and report what it does")
    .description(
      "Analyses files in machines of a lab, each in a machine that is restored for it: docs/guides/analyses.md.",
    )
    .helpOption("-h, --help", "show this help")
    .option("--machine <name>", "the machine; without it, any of the lab that is free")
    .option("--target <file>", "what is analysed; may be given more than once: each is an analysis", collect)
    .option("--command <line>", "what is run, for sh; $TARGET is the target. Without it the target itself is")
    .option("--member <path>", "the file in an archive (zip, 7z, tar) that is analysed; --target is the archive");
  return addTargetOptions(command)
    .option("--os-version <version>", "take a machine whose system has this version, as its os_version says")
    .option("--architecture <name>", "take a machine of this architecture: x86, x64 ...")
    .option("--machinery <name>", "take a machine of this machinery")
    .option("--golden <name>", "take a machine that starts from this golden state")
    .option("--host <name>", "in a cluster: only this host")
    .option("--timeout <seconds>", "how long the target may run", parseSeconds, DEFAULT_TIMEOUT_S)
    .option(
      "--reboot <seconds>",
      "start the guest again behind the target's end, and see for so long what it has left there",
      parseSeconds,
    )
    .option("--script <file>", "load a script into the machine's engine; may be given more than once", collect)
    .option(
      "--network <network>",
      "none, simulated, user or bridge:INTERFACE; that of the machine without it",
      parseNetwork,
    )
    .option("--options <k=v,...>", "for the auxiliary modules; memory=yes dumps memory at the end", parseOptions)
    .option(
      "--option <name=value>",
      "one of those options, whose value may hold anything; may be repeated",
      parseOption,
    )
    .option("--record", "keep a recording of the machine's run: rebox replay analyses/N --at COUNT")
    .option("--priority <number>", "1 to 3: of those that wait, the highest begins first; 1 without it", parsePriority)
    .option("--runs <count>", "analyse each target so often", parseCount, 1)
    .option(
      "--parallel <count>",
      "run at most so many at once; without it, max_analyses_count of conf/lab.yaml",
      parseCount,
    )
    .addOption(createLabOption())
    .option("--json", "print one line of JSON for each analysis; what people read goes to standard error")
    .addHelpText("after", AFTER_HELP)
    .action(async (options: AnalyzeOptions) => onStatus(await analyze(options, environment)));
}

async function analyze(options: AnalyzeOptions, environment: RunEnvironment): Promise<number> {
  const { getAnalysisFolder, openDatabase } = await import("../../lab/analysis/analysis-places.js");
  const { stdout, stderr, processEvents, exitNow } = environment;
  const requests = createRequests(options);
  const labFolder = resolve(getLabFolder(options));
  if (!existsSync(join(labFolder, "conf"))) {
    throw new UsageError(`${labFolder} is no lab: it has no folder conf; make one with rebox lab init`);
  }
  const { readLabSettings } = await import("../../lab/lab-settings.js");
  const { findClusterSettings } = await import("../../lab/cluster/cluster-settings.js");
  const { ConfigProblems } = await import("../../config/schema/config-problems.js");
  const { AnalysisSupervisor } = await import("./analysis-supervisor.js");
  const limit = options.parallel ?? readLabSettings(labFolder, new ConfigProblems()).max_analyses_count;
  const isCluster = findClusterSettings(labFolder) !== undefined;
  if (!isCluster && options.host !== undefined)
    throw new UsageError("--host names a host of a cluster, and this lab has none");
  const progress = new AnalysisProgress(options.json === true ? stderr : stdout);
  const controller = new AbortController();
  let cancelledBy: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (cancelledBy !== undefined) exitNow(getSignalStatus(signal));
    cancelledBy = signal;
    progress.say("cancelling; once more ends at once");
    controller.abort(new Error(signal === "SIGINT" ? "cancelled by Ctrl-C" : `cancelled by ${signal}`));
  };
  for (const signal of END_SIGNALS) processEvents.on(signal, onSignal);
  const database = openDatabase(labFolder);
  try {
    const log = (text: string) => progress.say(`rebox: ${text}`);
    const cleaning = { labFolder, database, api: environment.getApi(), log };
    const supervisor = isCluster
      ? new (await import("./cluster-supervisor.js")).ClusterSupervisor(cleaning, progress)
      : new AnalysisSupervisor(cleaning, limit, progress);
    const entries = await supervisor.run(requests, controller.signal);
    if (options.json === true)
      for (const entry of entries) stdout.write(`${toJson(entry, getAnalysisFolder(labFolder, entry.id))}\n`);
    if (cancelledBy !== undefined) return getSignalStatus(cancelledBy);
    return entries.every(({ outcome }) => outcome === "finished") ? ExitStatus.success : ExitStatus.failure;
  } finally {
    progress.close();
    database.close();
    for (const signal of END_SIGNALS) processEvents.off(signal, onSignal);
  }
}

function toJson(entry: AnalysisEntry, folder: string): string {
  return JSON.stringify({ ...entry, folder });
}
