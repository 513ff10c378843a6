import type { AnalysisPhase, LogLine } from "../../lab/analysis/analysis-record";

/** What the process of an analysis tells the one that supervises it. */
export type WorkerMessage =
  | { readonly kind: "phase"; readonly phase: AnalysisPhase }
  | { readonly kind: "line"; readonly line: LogLine }
  /** How many events there are. */
  | { readonly kind: "events"; readonly count: number };

/** What it is told. */
export interface WorkerOrder {
  /** Ends the analysis early, for this reason. */
  readonly cancel: string;
}
