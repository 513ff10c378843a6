import type { AttachStep } from "./errors";

/** The steps of a diagnosis: those of attaching, then what is read of a guest that is attached to. */
export type DiagnosisStepName =
  AttachStep | "memory maps" | "files" | "mounts" | "modules" | "programs" | "log" | "clock";

/** The finding of one step. */
export interface DiagnosisStep {
  readonly name: DiagnosisStepName;
  /** "skip": it could not be tried, because a step before it has failed or because there is nothing to look at. */
  readonly status: "ok" | "fail" | "skip";
  /** Addresses and values; they may hold text of the guest's, with control characters. */
  readonly evidence: string;
  /** Advice on what to try next; empty when nothing failed. */
  readonly advice: string;
}

/** The evidence for and against being able to read a guest's system. */
export interface GuestDiagnosis {
  /** Whether no step has failed. */
  readonly isHealthy: boolean;
  /** Whether all that is wrong is that the guest has not started a kernel yet. */
  readonly isEarly: boolean;
  readonly steps: readonly DiagnosisStep[];
}
