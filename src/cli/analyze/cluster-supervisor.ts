import { setTimeout as sleep } from "node:timers/promises";
import type { AnalysisEntry, AnalysisRequest } from "../../lab/analysis/analysis-database";
import { getAnalysisFolder } from "../../lab/analysis/analysis-places";
import type { Cleaning } from "../../lab/analysis/end-abandoned";
import { ServedQueue } from "../../lab/analysis/queue/served-queue";
import { ClusterMaker } from "../../server/hosts/cluster-maker";
import { doWork } from "../../server/results/work";
import type { AnalysisProgress } from "./analysis-progress";

/** The time between two looks at the lab's database, in milliseconds. */
const POLL_MS = 200;
/** How long the hosts may take to end what was cancelled, in milliseconds. */
const GRACE_MS = 60_000;

/** Has analyses made by the hosts of a cluster, and shows how they go on. They go on without this process, too. */
export class ClusterSupervisor {
  constructor(
    private readonly cleaning: Cleaning,
    private readonly progress: AnalysisProgress,
  ) {}

  /**
   * Hands analyses in and waits until all of them have ended.
   *
   * @param signal cancels them; its reason is recorded
   * @returns how they ended, in the order of the requests
   */
  async run(requests: readonly AnalysisRequest[], signal: AbortSignal): Promise<AnalysisEntry[]> {
    const { labFolder, database, log } = this.cleaning;
    const queue = new ServedQueue(database);
    const index = async () => void (await doWork({ kind: "index", labFolder }));
    const maker = new ClusterMaker({ labFolder, database, queue, index, log });
    const phases = new Map<number, string>();
    const ended: AnalysisEntry[] = [];
    for (const request of requests) {
      const id = queue.add(request);
      phases.set(id, "queued");
      this.progress.queue(id);
    }
    maker.start();
    let cancelledMs: number | undefined;
    try {
      while (phases.size > 0) {
        if (signal.aborted && cancelledMs === undefined) {
          cancelledMs = performance.now();
          const reason = signal.reason instanceof Error ? signal.reason.message : String(signal.reason);
          for (const id of phases.keys()) queue.cancel(id, reason);
          maker.wake();
        }
        for (const [id, phase] of phases) {
          const entry = database.find(id)!;
          if (entry.outcome !== undefined) {
            phases.delete(id);
            ended.push(entry);
            this.progress.end(entry, getAnalysisFolder(labFolder, id));
          } else if (entry.phase !== phase) {
            phases.set(id, entry.phase);
            this.progress.tell(id, { kind: "phase", phase: entry.phase });
          }
        }
        if (cancelledMs !== undefined && performance.now() - cancelledMs > GRACE_MS) {
          log(
            "the cluster has not ended all of them yet; it goes on to, and the next command on the lab collects them",
          );
          break;
        }
        if (phases.size > 0) await sleep(POLL_MS);
      }
    } finally {
      await maker.stop();
    }
    return [...ended, ...[...phases.keys()].map((id) => database.find(id)!)].toSorted(
      (one, other) => one.id - other.id,
    );
  }
}
