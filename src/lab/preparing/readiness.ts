import { setTimeout as sleep } from "node:timers/promises";
import { AnalysisError } from "../errors";
import type { GuestWay } from "../ways/guest-way";

/** The system is quiet when its processors have been idle for so long, in milliseconds. */
const QUIET_MS = 3_000;
const WINDOW_MS = 500;
/** Of one processor of this host: timers and the emulation of a halted guest use less. */
const IDLE_LOAD = 0.15;

/** How a system is watched until it is ready. */
export interface Watch {
  /** When it is given up, by performance.now(). */
  readonly endMs: number;
  readonly signal: AbortSignal;
  /** Returns the processor time that the machine has used, in milliseconds; undefined when nothing is known of it. */
  getProcessorTimeMs(): Promise<number | undefined>;
  /** Is called with what is waited for, for people. */
  onProgress(text: string): void;
}

/**
 * Waits until the guest's init system has started everything, and its processors are idle.
 *
 * @throws AnalysisError that says what it waited for, and which processes are busy
 */
export async function waitForQuiet(way: GuestWay, watch: Watch): Promise<void> {
  await waitForJobs(way, watch);
  const { signal, endMs } = watch;
  let quietSinceMs = performance.now();
  let before = await watch.getProcessorTimeMs();
  if (before === undefined) return;
  let beforeMs = performance.now();
  while (performance.now() - quietSinceMs < QUIET_MS) {
    await sleep(WINDOW_MS, undefined, { signal });
    const now = await watch.getProcessorTimeMs();
    if (now === undefined) throw new AnalysisError("the machine went off while it was waited for");
    const nowMs = performance.now();
    const load = (now - before) / (nowMs - beforeMs);
    if (load > IDLE_LOAD) {
      quietSinceMs = nowMs;
      watch.onProgress(`waiting until the system is quiet: its processors are ${Math.round(load * 100)} % busy`);
    }
    [before, beforeMs] = [now, nowMs];
    if (nowMs > endMs) {
      throw new AnalysisError(
        `the system did not become quiet: its processors are ${Math.round(load * 100)} % busy with ` +
          `${await findBusiest(way, signal)}; --timeout gives it more time`,
      );
    }
  }
}

/** Waits until systemd, where that runs, has no job left. A unit that has failed is no reason to wait. */
async function waitForJobs(way: GuestWay, { signal, endMs, onProgress }: Watch): Promise<void> {
  onProgress("waiting until the init system has started everything");
  const leftS = Math.max(1, Math.ceil((endMs - performance.now()) / 1000));
  const script =
    "if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then " +
    `timeout ${leftS} systemctl is-system-running --wait >/dev/null 2>&1; [ $? -ne 124 ] || ` +
    "{ systemctl list-jobs --no-legend --no-pager | head -5; exit 124; }; fi";
  const result = await way.runScript(`(${script})`, signal);
  if (result.status !== 124) return;
  throw new AnalysisError(`the init system is not done; its jobs: ${result.output.trim().replaceAll("\n", "; ")}`);
}

/** Says which processes of the guest have used most processor time. */
async function findBusiest(way: GuestWay, signal: AbortSignal): Promise<string> {
  const script =
    "for p in /proc/[0-9]*; do s=$(cat $p/stat 2>/dev/null) || continue; n=${s#*(}; n=${n%)*}; set -- ${s##*)}; " +
    'echo "$((${12} + ${13})) $n"; done | sort -rn | head -3 | cut -d" " -f2-';
  const result = await way.runScript(`(${script})`, signal);
  return result.output.trim().replaceAll("\n", ", ") || "something";
}
