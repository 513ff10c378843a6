import {
  AddressError,
  type AttachStep,
  BtfError,
  KernelDataError,
  MissingSymbolError,
  MissingTypeError,
} from "./errors";

/** The steps of a diagnosis: those of attaching, then what is read of a guest that is attached to. */
export type DiagnosisStepName =
  AttachStep | "memory maps" | "files" | "mounts" | "modules" | "programs" | "log" | "agreement" | "clock";

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

/** The evidence of a step that nothing has come to. */
export const NOT_REACHED = "not reached";

const SHOWN = 3;
const DAMAGED = "try again, the guest may be changing it at this moment; if it stays, the guest's memory is damaged";

/**
 * Makes a step of a look at a guest that is attached to.
 *
 * @param look returns the evidence; undefined when there is nothing to look at, because no program runs yet
 * @param strangeAdvice the advice where the kernel lacks what the look needs
 */
export function takeLook(look: () => string | undefined, strangeAdvice: string): Omit<DiagnosisStep, "name"> {
  try {
    const evidence = look();
    return evidence === undefined
      ? { status: "skip", evidence: "no program runs yet", advice: "" }
      : { status: "ok", evidence, advice: "" };
  } catch (error) {
    if (error instanceof MissingTypeError || error instanceof MissingSymbolError) {
      return { status: "fail", evidence: error.message, advice: strangeAdvice };
    }
    if (error instanceof KernelDataError || error instanceof AddressError || error instanceof BtfError) {
      return { status: "fail", evidence: error.message, advice: DAMAGED };
    }
    throw error;
  }
}

/** Tells how many there are, and the first of them. */
export function describeList(items: readonly string[]): string {
  const shown = items.slice(0, SHOWN).join(", ");
  return items.length <= SHOWN ? `${items.length}: ${shown}` : `${items.length}: ${shown} and others`;
}
