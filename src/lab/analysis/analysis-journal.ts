import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findFailureCode } from "../../config/failure-code";
import type { AnalysisLog, AuxiliaryStatus } from "../auxiliary/auxiliary-run";
import {
  type AnalysisOutcome,
  type AnalysisPhase,
  type AnalysisRecord,
  type LogLine,
  writeRecord,
} from "./analysis-record";
import { appendEvent } from "./event-log";
import { orderEvents } from "./order-events";
import { getSteadyTime } from "./steady-time";

/** The most lines that a record keeps; a module that writes without end must not fill the disk. */
const MOST_LINES = 10_000;

/** In bytes: room for the end of a record on a disk that is full by then. */
const RESERVE = 256 << 10;

/** Keeps the record of a running analysis, so that analysis.json shows how far it has come even when rebox is killed. */
export class AnalysisJournal implements AnalysisLog {
  private readonly lines: LogLine[] = [];
  private unwritable: string | undefined;
  private unwritableCode: string | undefined;
  private readonly reserve: string;

  /**
   * @param folder the folder of the analysis
   * @param record the record at the beginning
   * @param onLine receives every line of its log
   * @param onEvent is called after each event that is added
   */
  constructor(
    readonly folder: string,
    private current: AnalysisRecord,
    private readonly onLine: (line: LogLine) => void = () => {},
    private readonly onEvent: () => void = () => {},
  ) {
    this.reserve = join(folder, ".reserve");
    this.guard(() => writeFileSync(this.reserve, Buffer.alloc(RESERVE)));
    this.write();
  }

  get record(): AnalysisRecord {
    return { ...this.current, log: [...this.lines] };
  }

  /** The reason why something could not be written, and the results have a gap; undefined when they are whole. */
  get failure(): string | undefined {
    return this.unwritable;
  }

  begin(phase: AnalysisPhase): void {
    const began = getSteadyTime();
    this.update({ phases: [...this.current.phases, { phase, began }] });
    this.addEvent("phase", { phase });
  }

  update(part: Partial<Omit<AnalysisRecord, "log">>): void {
    this.current = { ...this.current, ...part };
    this.write();
  }

  /** @param code of the error by which it has failed */
  end(
    outcome: AnalysisOutcome,
    reason: string | undefined,
    auxiliary: readonly AuxiliaryStatus[],
    code?: string,
  ): void {
    this.update({ outcome, reason, code, auxiliary, ended: getSteadyTime() });
  }

  /** Gives up the reserve, puts the events into their order, and says in the record when results are missing: an analysis with a gap is not finished. */
  complete(): void {
    rmSync(this.reserve, { force: true });
    try {
      orderEvents(this.folder);
    } catch (error) {
      this.warn(`the events stand in the order in which they have arrived: ${(error as Error).message}`);
    }
    if (this.unwritable !== undefined) this.incomplete(this.unwritable, this.unwritableCode);
    else this.write();
  }

  /** Says that results are missing. @param code of the error by which that came */
  incomplete(reason: string, code: string | undefined): void {
    const { outcome, reason: first } = this.current;
    const end =
      outcome === "finished"
        ? ({ outcome: "failed", reason: `the results are incomplete: ${reason}`, code } as const)
        : {};
    if (outcome !== "finished" && first !== reason) this.add("error", reason);
    this.update(end);
  }

  /** Adds to events.jsonl. A full disk ends no analysis: it is said once. */
  addEvent(type: string, facts: Readonly<Record<string, unknown>>): void {
    this.onEvent();
    this.guard(() => appendEvent(this.folder, type, facts));
  }

  debug(text: string): void {
    this.add("debug", text);
  }

  info(text: string): void {
    this.add("info", text);
  }

  warn(text: string): void {
    this.add("warn", text);
  }

  error(text: string): void {
    this.add("error", text);
  }

  private add(level: LogLine["level"], text: string): void {
    const line: LogLine = { time: getSteadyTime(), level, text };
    if (this.lines.length < MOST_LINES) this.lines.push(line);
    this.onLine(line);
  }

  private write(): void {
    this.guard(() => writeRecord(this.folder, this.record));
  }

  private guard(write: () => void): void {
    try {
      write();
    } catch (error) {
      const first = this.unwritable === undefined;
      this.unwritable = `cannot write in ${this.folder}: ${(error as Error).message}`;
      this.unwritableCode = findFailureCode(error, this.folder);
      if (first) this.add("error", this.unwritable);
    }
  }
}
