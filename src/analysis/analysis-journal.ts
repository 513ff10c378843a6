import type { AnalysisLog } from "../auxiliary/analysis-log";
import type { AuxiliaryStatus } from "../auxiliary/auxiliary-status";
import {
  type AnalysisOutcome,
  type AnalysisPhase,
  type AnalysisRecord,
  type LogLine,
  writeRecord,
} from "./analysis-record";
import { appendEvent } from "./event-log";

/** The most lines that a record keeps; what a module says without end must not fill the disk. */
const MOST_LINES = 10_000;

/** Keeps the record of a running analysis: whatever happens to rebox, analysis.json tells how far it has come. */
export class AnalysisJournal implements AnalysisLog {
  private readonly lines: LogLine[] = [];
  private unwritable: string | undefined;

  /**
   * @param folder the folder of the analysis
   * @param record how it begins
   * @param onLine is told every line of its log
   */
  constructor(
    readonly folder: string,
    private current: AnalysisRecord,
    private readonly onLine: (line: LogLine) => void = () => {},
  ) {
    this.write();
  }

  get record(): AnalysisRecord {
    return { ...this.current, log: [...this.lines] };
  }

  /** Why the record could not be written, when it could not. */
  get failure(): string | undefined {
    return this.unwritable;
  }

  begin(phase: AnalysisPhase): void {
    const began = new Date().toISOString();
    this.update({ phases: [...this.current.phases, { phase, began }] });
    this.addEvent("phase", { phase });
  }

  update(part: Partial<Omit<AnalysisRecord, "log">>): void {
    this.current = { ...this.current, ...part };
    this.write();
  }

  end(outcome: AnalysisOutcome, reason: string | undefined, auxiliary: readonly AuxiliaryStatus[]): void {
    this.update({ outcome, reason, auxiliary, ended: new Date().toISOString() });
  }

  /** Adds to events.jsonl. A full disk ends no analysis: it is said once. */
  addEvent(type: string, facts: Readonly<Record<string, unknown>>): void {
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
    const line: LogLine = { time: new Date().toISOString(), level, text };
    if (this.lines.length < MOST_LINES) this.lines.push(line);
    this.onLine(line);
  }

  private write(): void {
    this.guard(() => writeRecord(this.folder, this.record));
  }

  private guard(write: () => void): void {
    try {
      write();
      this.unwritable = undefined;
    } catch (error) {
      const first = this.unwritable === undefined;
      this.unwritable = `cannot write in ${this.folder}: ${(error as Error).message}`;
      if (first) this.add("error", this.unwritable);
    }
  }
}
