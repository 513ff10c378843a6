import { getProcessMark, openDatabase } from "../../lab/analysis/analysis-places";
import { killMarkedAtOnce } from "../../lab/analysis/marked-processes";
import type { AnalysisJournal } from "../../lab/analysis/analysis-journal";
import { ServedQueue } from "../../lab/analysis/queue/served-queue";
import { performAnalysis } from "../../lab/analysis/perform-analysis";
import { doors } from "../../doors/doors";
import { stopCompiler } from "../../scripts/loading/script-compiler";
import { ExitStatus } from "../exit-status";
import { KnownFolder } from "./known-folder";
import { SERVED, type WorkerMessage, type WorkerOrder } from "./worker-messages";

const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** The time between two reports of the number of events, in milliseconds. */
const COUNT_MS = 500;

/**
 * Makes one analysis. `rebox analyze` and `rebox serve` start this program, with a channel: when that closes, the supervisor of the
 * analysis is gone, and the analysis is cancelled as it would be by a signal; one of a server goes on. A lab whose folder is gone
 * then, too, has nothing that could be brought to an end: its processes are killed, and this one ends.
 *
 * @param isServed it comes from the queue of a server
 * @returns the exit status
 */
async function work(labFolder: string, id: number, isServed: boolean): Promise<number> {
  const controller = new AbortController();
  const cancel = (reason: string) => controller.abort(new Error(reason));
  let journal: AnalysisJournal | undefined;
  const onStray = (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${text}\n`);
    // A module's timer or promise: the analysis continues.
    journal?.error(`an error that nobody has caught: ${text}`);
  };
  const database = openDatabase(labFolder);
  const queue = new ServedQueue(database);
  for (const signal of END_SIGNALS)
    process.on(signal, () => cancel((isServed ? queue.findCancellation(id) : undefined) ?? `ended by ${signal}`));
  const folder = new KnownFolder(labFolder);
  const mark = getProcessMark(labFolder, id);
  const onAlone = () => {
    folder.onGone(() => {
      // At once: this process would write into a new folder about their ends.
      killMarkedAtOnce(mark);
      process.exit(ExitStatus.failure);
    });
    if (!folder.isGone && !isServed) cancel("the process that supervised it is gone");
  };
  process.on("disconnect", onAlone);
  process.on("message", (order: WorkerOrder) => cancel(order.cancel));
  process.on("uncaughtException", onStray);
  process.on("unhandledRejection", onStray);
  if (!process.connected) onAlone();
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
  try {
    const entry = isServed ? queue.claim(id) : database.takeOver(id);
    // It may have been asked to end before there was a process that could be told.
    const cancellation = isServed ? queue.findCancellation(id) : undefined;
    if (cancellation !== undefined) cancel(cancellation);
    await performAnalysis({
      ...{ labFolder, database, entry, api: doors },
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
    await stopCompiler();
  }
}

/** Makes the analysis that this process was started for, and ends the process. */
export function start(): void {
  const [labFolder = "", id, word] = process.argv.slice(2);
  // Modules may have left timers and sockets open.
  void work(labFolder, Number(id), word === SERVED).then((status) => process.exit(status));
}
