import type { AttachRefusal } from "../../systems/errors";
import type { RunReporter } from "./run-reporter";

/** Says once why the guest's system could not be read, when scripts have asked for it: they may go on without a word. */
export class GuestWatch {
  private wasFound = false;
  private isTold = false;
  private last: AttachRefusal | undefined;

  constructor(private readonly reporter: RunReporter) {}

  /** Takes how an attempt to find the guest's system ended; undefined stands for one that found it. */
  note(refusal: AttachRefusal | undefined): void {
    this.last = refusal;
    if (refusal === undefined) this.wasFound = true;
    else if (!refusal.isEarly) this.tell("the guest's system cannot be read", refusal);
  }

  /** Says what the last attempt failed on, when none has succeeded: all of them may have been too early. */
  end(): void {
    if (!this.wasFound && this.last) this.tell("no system was found in the guest until the end", this.last);
  }

  private tell(what: string, { step, evidence, advice, isEarly }: AttachRefusal): void {
    if (this.isTold) return;
    this.isTold = true;
    this.reporter.say(
      `${what} (${step}): ${evidence}; ${advice}. Each step of looking for it: the shell's command doctor`,
    );
    this.reporter.event("guestRefused", { step, evidence, advice, isEarly });
  }
}
