import type { AnalysisPhase, LogLine } from "../../lab/analysis/analysis-record";

/** The word behind the arguments of a process whose analysis comes from a server's queue. */
export const SERVED = "served";

/** A message from the process of an analysis to its supervisor. */
export type WorkerMessage =
  | { readonly kind: "phase"; readonly phase: AnalysisPhase }
  | { readonly kind: "line"; readonly line: LogLine }
  /** The number of events so far. */
  | { readonly kind: "events"; readonly count: number };

/** A message from the supervisor to the process of an analysis. */
export interface WorkerOrder {
  /** Ends the analysis early, for this reason. */
  readonly cancel: string;
}
