import { getSignalStatus } from "../exit-status";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { getDatabaseFile, openDatabase } from "../../lab/analysis/analysis-places";
import { endLostAnalyses } from "../../lab/analysis/end-abandoned";
import { Lab } from "../../lab/lab";
import { AnalysisError, CuckooMachineError, MachineryManagerError } from "../../lab/errors";
import { CancelledError } from "../../config/errors";
import type { RunEnvironment } from "../run/run-environment";
import { UsageError } from "../errors";

/** Ends the remains of killed analyses, so that their machines do not seem to be in use. */
async function endLost(labFolder: string, environment: RunEnvironment, log: (text: string) => void): Promise<void> {
  if (!existsSync(getDatabaseFile(labFolder))) return;
  const database = openDatabase(labFolder);
  try {
    await endLostAnalyses({ labFolder, database, api: environment.getApi(), log });
  } finally {
    database.close();
  }
}

const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Opens a lab for one command. Ctrl-C cancels the command and cleans up after it; a second one ends at once.
 *
 * @param use does what the command is for; returns the exit status
 * @returns the exit status
 * @throws UsageError for what can be said in a sentence
 */
export async function withLab(
  folder: string,
  environment: RunEnvironment,
  use: (lab: Lab, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const { stderr, processEvents, exitNow } = environment;
  const controller = new AbortController();
  let cancelledBy: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (cancelledBy !== undefined) exitNow(getSignalStatus(signal));
    cancelledBy = signal;
    if (signal !== "SIGPIPE") stderr.write("rebox: cancelling; once more ends at once\n");
    controller.abort();
  };
  for (const signal of END_SIGNALS) processEvents.on(signal, onSignal);
  try {
    const { signal } = controller;
    const log = (text: string) => void stderr.write(`rebox: ${text}\n`);
    await endLost(resolve(folder), environment, log);
    const lab = await Lab.open(folder, { api: environment.getApi(), signal, log, pollMs: 200 });
    for (const warning of lab.problems.warnings) stderr.write(`${warning.toString()}\n`);
    for (const { message } of lab.problems.errors) stderr.write(`${message}\n`);
    for (const failure of lab.failures) stderr.write(`rebox: ${failure}\n`);
    try {
      const status = await use(lab, signal);
      return cancelledBy === undefined ? status : getSignalStatus(cancelledBy);
    } finally {
      await lab.close();
    }
  } catch (error) {
    if (cancelledBy !== undefined && error instanceof CancelledError) return getSignalStatus(cancelledBy);
    const isSentence = [AnalysisError, CuckooMachineError, MachineryManagerError].some((kind) => error instanceof kind);
    if (isSentence) throw new UsageError((error as Error).message);
    throw error;
  } finally {
    for (const signal of END_SIGNALS) processEvents.off(signal, onSignal);
  }
}
