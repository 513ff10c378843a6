import type { ResultRow } from "./result-row";

/** What a measure is run with. */
export interface MeasureContext {
  /** How often everything is measured; with something to compare with, how many pairs. */
  readonly pairs: number;
  /** Shows progress. */
  say(text: string): void;
}

/** One thing that is measured, in processes of its own. */
export interface Measure {
  /** As --only takes it. */
  readonly name: string;
  /** Whether it compares with plain QEMU, which is built for that alone. */
  readonly needsPlainQemu?: boolean;

  /**
   * Measures.
   *
   * @throws Error when a measured process fails or says nothing for too long
   */
  run(context: MeasureContext): Promise<ResultRow[]>;
}
