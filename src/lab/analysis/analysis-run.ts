import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { AuxiliaryRunner } from "../auxiliary/auxiliary-runner";
import { TimeLimitError } from "../../config/errors";
import { findFailureCode } from "../../config/failure-code";
import { callAsyncWithin } from "../../config/limits";
import { isYes } from "../../config/named-values";
import { AnalysisError, TargetRefusedError } from "../errors";
import type { AnalysisJournal } from "./analysis-journal";
import type { AnalysisMachine, AnalysisMachinePool, DeliveredTarget } from "./analysis-machine";
import type { AnalysisOutcome, AnalysisPhase } from "./analysis-record";
import type { AnalysisRequest } from "./analysis-database";

/** Time limits for the parts of an analysis, in milliseconds. */
export interface AnalysisLimits {
  readonly startMs: number;
  /** From a machine that runs to a target that can be executed: a guest may boot in it. */
  readonly deliverMs: number;
  /** From the end of the target to a guest that has started again. */
  readonly rebootMs: number;
  /** From there to its first instruction. */
  readonly beginMs: number;
  readonly dumpMs: number;
  readonly stopMs: number;
}

const LIMITS: AnalysisLimits = {
  startMs: 180_000,
  deliverMs: 360_000,
  beginMs: 60_000,
  rebootMs: 480_000,
  dumpMs: 600_000,
  stopMs: 120_000,
};

/** The parts of an analysis. */
export interface AnalysisParts {
  readonly request: AnalysisRequest;
  readonly machines: AnalysisMachinePool;
  readonly journal: AnalysisJournal;
  /** Makes the auxiliary modules for a machine. */
  makeAuxiliary(machine: AnalysisMachine, signal: AbortSignal): AuxiliaryRunner;
  /** Is called with each phase as it begins. */
  onPhase(phase: AnalysisPhase): void;
  readonly limits?: Partial<AnalysisLimits>;
}

/** The outcome of an analysis. */
interface Ending {
  readonly outcome: AnalysisOutcome;
  readonly reason: string;
  /** Of the error by which it has failed. */
  readonly code?: string | undefined;
}

/**
 * One analysis, from a leased machine to the machine's return. However it ends, the parts that were begun end in CAPE's order: the
 * auxiliary modules stop, memory is dumped, the machine stops, the modules clean up, and the machine is given back.
 */
export class AnalysisRun {
  private readonly limits: AnalysisLimits;

  constructor(private readonly parts: AnalysisParts) {
    this.limits = { ...LIMITS, ...parts.limits };
  }

  /**
   * Makes the analysis. It never throws: the record has its end.
   *
   * @param signal ends it early; its reason is the recorded one
   */
  async execute(signal: AbortSignal): Promise<void> {
    const { machines, request, journal } = this.parts;
    this.begin("waiting for a machine");
    const acquired = machines.acquire(request.machine, signal, request.choice);
    let machine: AnalysisMachine | undefined;
    let auxiliary: AuxiliaryRunner;
    try {
      machine = await orAborted(acquired, signal);
      signal.throwIfAborted();
      const { name, machinery, platform } = machine;
      journal.update({ machine: { name, machinery, platform } });
      auxiliary = this.parts.makeAuxiliary(machine, signal);
    } catch (error) {
      // One that comes after all is not kept either.
      if (machine !== undefined || signal.aborted) await this.giveBack(acquired);
      const { outcome, reason, code } = endingOf(error, signal, journal.folder);
      journal.end(outcome, reason, [], code);
      return;
    }
    await this.use(machine, auxiliary, signal);
  }

  private async giveBack(acquired: Promise<AnalysisMachine>): Promise<void> {
    const released = acquired.then((machine) => machine.release(undefined));
    await callAsyncWithin("giving the machine back", this.limits.stopMs, undefined, () => released).catch(() => {});
  }

  private async use(machine: AnalysisMachine, auxiliary: AuxiliaryRunner, signal: AbortSignal): Promise<void> {
    const { journal } = this.parts;
    let mayRun = false;
    let ending: Ending;
    try {
      this.begin("starting helpers");
      await auxiliary.start();
      signal.throwIfAborted();
      this.begin("starting machine");
      mayRun = true;
      await callAsyncWithin("the start of the machine", this.limits.startMs, signal, (own) => machine.start(own));
      await auxiliary.machineStarted();
      signal.throwIfAborted();
      ending = await this.run(machine, signal);
    } catch (error) {
      ending = endingOf(error, signal, journal.folder);
    }
    this.begin("stopping helpers");
    await auxiliary.stop();
    if (mayRun) await this.dump(machine);
    this.begin("stopping machine");
    const failure = mayRun ? await this.stop(machine) : undefined;
    await auxiliary.finish();
    await machine
      .release(failure?.reason)
      .catch((error: unknown) => journal.error(`giving the machine back: ${text(error)}`));
    if (failure !== undefined && ending.outcome === "finished") ending = { ...failure, outcome: "failed" };
    journal.end(ending.outcome, ending.reason, auxiliary.status, ending.code);
  }

  private async run(machine: AnalysisMachine, signal: AbortSignal): Promise<Ending> {
    const { request } = this.parts;
    const { target, command, start, options, rebootS } = request;
    const clockMs = parseClock(options.clock);
    this.begin("delivering target");
    const delivered = await callAsyncWithin("giving the guest the target", this.limits.deliverMs, signal, (own) =>
      machine.deliver({ target, command, ...(start && { start }), clockMs, isRebooted: rebootS !== undefined }, own),
    );
    try {
      await callAsyncWithin("the beginning of the target", this.limits.beginMs, signal, (own) => delivered.begin(own));
      this.parts.journal.update({ hasRun: true });
      this.begin("running");
      const reason = await this.untilEnd(delivered, signal);
      if (rebootS === undefined) return { outcome: "finished", reason };
      return { outcome: "finished", reason: `${reason}; ${await this.reboot(delivered, rebootS, signal)}` };
    } finally {
      delivered.close();
    }
  }

  /** Returns why the target has ended, or that its time was over, which counts from its first instruction. */
  private async untilEnd(delivered: DeliveredTarget, signal: AbortSignal): Promise<string> {
    const { timeoutS } = this.parts.request;
    try {
      return await callAsyncWithin("the target", timeoutS * 1000, signal, (own) => delivered.untilEnd(own));
    } catch (error) {
      if (error instanceof TargetRefusedError) this.parts.journal.update({ hasRun: false });
      // The end of the time limit counts, not the errors that it causes in the machine.
      if (!(error instanceof TimeLimitError)) throw error;
      return `the time of ${timeoutS} s was over`;
    }
  }

  /** Starts the guest again and watches it. @returns how that went */
  private async reboot(delivered: DeliveredTarget, rebootS: number, signal: AbortSignal): Promise<string> {
    this.begin("rebooting");
    const gone = await callAsyncWithin("the reboot", this.limits.rebootMs, signal, (own) => delivered.reboot(own));
    if (gone !== undefined) return `the guest was not started again: ${gone}`;
    this.begin("running after the reboot");
    await sleep(rebootS * 1000, undefined, { signal });
    return `the guest was started again and watched for ${rebootS} s`;
  }

  private async dump(machine: AnalysisMachine): Promise<void> {
    const { request, journal } = this.parts;
    if (!isYes(request.options.memory)) return;
    this.begin("dumping memory");
    const file = join(journal.folder, "memory.dmp");
    try {
      await callAsyncWithin("the dump", this.limits.dumpMs, undefined, (own) => machine.dumpMemory(file, own));
    } catch (error) {
      journal.error(`dumping memory: ${text(error)}`);
    }
  }

  /** Returns why the machine could not be stopped. */
  private async stop(machine: AnalysisMachine): Promise<Pick<Ending, "reason" | "code"> | undefined> {
    try {
      await callAsyncWithin("the stop", this.limits.stopMs, undefined, (own) => machine.stop(own));
      return undefined;
    } catch (error) {
      const { journal } = this.parts;
      const reason = `the machine could not be stopped: ${text(error)}`;
      journal.error(reason);
      return { reason, code: findFailureCode(error, journal.folder) };
    }
  }

  private begin(phase: AnalysisPhase): void {
    this.parts.journal.begin(phase);
    this.parts.onPhase(phase);
  }
}

/** Parses CAPE's option `clock`, in UTC. @throws AnalysisError for what is no time */
export function parseClock(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, month, day, year, time] = /^(\d\d)-(\d\d)-(\d{4}) (\d\d:\d\d:\d\d)$/.exec(text.trim()) ?? [];
  const clockMs = Date.parse(`${year}-${month}-${day}T${time}Z`);
  if (Number.isNaN(clockMs)) throw new AnalysisError(`clock=${text}: it must be MM-DD-YYYY HH:MM:SS, in UTC`);
  return clockMs;
}

function endingOf(error: unknown, signal: AbortSignal, folder: string): Ending {
  if (signal.aborted) return { outcome: "cancelled", reason: text(signal.reason) };
  return { outcome: "failed", reason: text(error), code: findFailureCode(error, folder) };
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Waits for a promise until the signal is aborted; after that the promise is no longer observed. */
async function orAborted<Result>(result: Promise<Result>, signal: AbortSignal): Promise<Result> {
  result.catch(() => {});
  signal.throwIfAborted();
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop);
  });
  try {
    return await Promise.race([result, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
