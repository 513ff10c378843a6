import { Command } from "commander";
import { openDatabase } from "../../analysis/analysis-places";
import type { AnalysisJournal } from "../../analysis/analysis-journal";
import { performAnalysis } from "../../analysis/perform-analysis";
import { ExitStatus } from "../exit-status";
import type { RunEnvironment } from "../run/run-environment";
import type { WorkerMessage, WorkerOrder } from "./worker-messages";

/** The name of the command. */
export const WORKER = "analysis-worker";

const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** How often the number of events is told, in milliseconds. */
const COUNT_MS = 500;

/**
 * Creates the command that makes one analysis. Only `rebox analyze` starts it, with a channel: when that closes, whoever supervises the
 * analysis is gone, and it is cancelled as it would be by a signal.
 */
export function createWorkerCommand(environment: RunEnvironment, onStatus: (status: number) => void): Command {
  return new Command(WORKER)
    .argument("<lab>")
    .argument("<id>")
    .helpOption(false)
    .action(async (labFolder: string, id: string) => onStatus(await work(labFolder, Number(id), environment)));
}

async function work(labFolder: string, id: number, environment: RunEnvironment): Promise<number> {
  const { processEvents } = environment;
  const controller = new AbortController();
  const cancel = (reason: string) => controller.abort(new Error(reason));
  let journal: AnalysisJournal | undefined;
  const onStray = (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${text}\n`);
    // A module's timer or promise: the analysis goes on.
    journal?.error(`an error that nobody has caught: ${text}`);
  };
  for (const signal of END_SIGNALS) processEvents.on(signal, () => cancel(`ended by ${signal}`));
  processEvents.on("disconnect", () => cancel("the process that supervised it is gone"));
  processEvents.on("message", (order: WorkerOrder) => cancel(order.cancel));
  processEvents.on("uncaughtException", onStray);
  processEvents.on("unhandledRejection", onStray);
  if (!process.connected) cancel("nobody supervises it");
  const tell = (message: WorkerMessage) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  };
  let count = 0;
  let told = 0;
  const counting = setInterval(() => {
    if (count === told) return;
    told = count;
    tell({ kind: "events", count });
  }, COUNT_MS);
  const database = openDatabase(labFolder);
  try {
    await performAnalysis({
      ...{ labFolder, database, entry: database.takeOver(id), api: environment.getApi() },
      signal: controller.signal,
      onPhase: (phase) => tell({ kind: "phase", phase }),
      onLine: (line) => tell({ kind: "line", line }),
      onEvent: () => void count++,
      onJournal: (made) => {
        journal = made;
      },
    });
    return ExitStatus.success;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return ExitStatus.failure;
  } finally {
    clearInterval(counting);
    database.close();
  }
}
