import type { AnalysisRequest } from "../analysis/analysis-database";
import type { AnalysisOutcome, AnalysisPhase } from "../analysis/analysis-record";
import type { Quota } from "./fair-shares";
import type { Requirement } from "./requirement";

/** A file that is known by its content. */
export interface StoredFile {
  /** Its own name; of a result, its path in the folder of the analysis. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  readonly sha256: string;
}

/** An analysis that is handed to a cluster. Its files are in the store. */
export interface ClusterSubmission {
  /** The lab that hands it in, and its number there: the same twice is one analysis. */
  readonly origin: string;
  readonly number: number;
  /** Its `target` and `scripts` are of the lab that hands it in: the files are those below. */
  readonly request: AnalysisRequest;
  readonly target: StoredFile | undefined;
  readonly scripts: readonly StoredFile[];
}

/** A machine that is free, and which analyses it can have. */
export interface Offer {
  readonly host: string;
  readonly machine: string;
  fits(requirement: Requirement): boolean;
}

/** One try of an analysis on one machine. It has the analysis as long as its number is the newest. */
export interface Attempt {
  readonly id: string;
  /** Counts from 1: the fencing number. */
  readonly attempt: number;
  readonly queue: string;
  readonly host: string;
  readonly machine: string;
}

/** An attempt that begins, with what is to be done. */
export interface TakenAttempt extends Attempt {
  readonly submission: ClusterSubmission;
}

/** The result of an attempt. Its files are in the store. */
export interface AttemptResult {
  readonly outcome: AnalysisOutcome;
  readonly reason: string | undefined;
  readonly files: readonly StoredFile[];
}

/** The answer to a heartbeat. */
export type Heartbeat =
  | { readonly kind: "goes on" }
  /** Somebody has asked to end it. */
  | { readonly kind: "cancelled"; readonly reason: string }
  /** It is another attempt's, or has ended: this one is to stop. */
  | { readonly kind: "lost" };

/** An analysis as the queue knows it. */
export interface QueuedAnalysis {
  readonly id: string;
  readonly origin: string;
  readonly number: number;
  readonly submitter: string;
  readonly created: Date;
  readonly phase: AnalysisPhase;
  readonly attempt: number;
  readonly host: string | undefined;
  readonly machine: string | undefined;
  readonly outcome: AnalysisOutcome | undefined;
  readonly reason: string | undefined;
  readonly files: readonly StoredFile[];
}

/** The analyses that are listed. */
export interface QueueFilter {
  readonly origin?: string;
  /** Its number in that lab. */
  readonly number?: number;
  /** Only those whose results have not been collected; else the newest. */
  readonly isUncollected?: boolean;
  readonly limit?: number;
}

/** Analyses on their way: handed in, taken by attempts, and ended once. */
export interface AnalysisQueue {
  /**
   * Adds an analysis; one that is there stays as it is.
   *
   * @returns its name
   * @throws OtherAnalysisError when the number is another analysis of a lab of this name
   */
  submit(submission: ClusterSubmission): Promise<string>;
  /** Names the requirements that analyses have had and a machine can meet: of the others it needs no word. */
  listFitting(fits: (requirement: Requirement) => boolean): Promise<string[]>;
  /** Returns whether an analysis waits in one of some queues, without taking it. @param names of listFitting() */
  hasWaiting(names: readonly string[]): Promise<boolean>;
  /** Takes the next analysis that fits a free machine. Any other one that the machine is believed to make is given up: its host has just found it free. */
  take(offer: Offer): Promise<TakenAttempt | undefined>;
  /** Renews the lease of an attempt. */
  heartbeat(attempt: Attempt, phase: AnalysisPhase): Promise<Heartbeat>;
  /** Ends an analysis by the result of an attempt. @returns false when the attempt has it no longer: nothing has changed then */
  finish(attempt: Attempt, result: AttemptResult): Promise<boolean>;
  /** Returns whether an attempt has ended its analysis: a host that was killed behind its success asks. */
  hasWon(attempt: Attempt): Promise<boolean>;
  /** Gives an attempt up: another one is made, unless there were too many. @returns false when the attempt had it no longer */
  fail(attempt: Attempt, reason: string): Promise<boolean>;
  /** Asks an analysis to end. One that waits has ended at once. */
  cancel(id: string, reason: string): Promise<void>;
  list(filter: QueueFilter): Promise<QueuedAnalysis[]>;
  /** Notes that the results of analyses have been collected. */
  markCollected(ids: readonly string[]): Promise<void>;
  /** Puts analyses back whose hosts were not heard of, and ends those that were tried too often, as lost; any number may ask. */
  endGivenUp(): Promise<void>;
  /** Sets how many of somebody's analyses may run at once. */
  setQuota(quota: Quota): Promise<void>;
  /** Lists the quotas by name. */
  listQuotas(): Promise<Quota[]>;
}
