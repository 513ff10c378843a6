import type { QueuedAnalysis } from "./analysis-queue";

/** Tidying a cluster: what it knows of analyses that are over, and what those that are not over need. */
export interface Upkeep {
  /** Lists the analyses of a lab whose results it has collected. */
  listCollected(origin: string): Promise<Pick<QueuedAnalysis, "id" | "number">[]>;
  /** Removes all that is known of analyses that have ended. */
  forget(ids: readonly string[]): Promise<void>;
  /** Lists the contents, by SHA-256, that analyses which have not ended need. */
  listNeeded(): Promise<string[]>;
  /** Finds those of these analyses that the queue does not know. */
  listUnknown(ids: readonly string[]): Promise<string[]>;
}
