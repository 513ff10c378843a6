import type { AttachRefusal } from "../../systems/errors";
import type { RunReporter } from "./run-reporter";

/** Reports once why the guest's system could not be read, when scripts have asked for it: they may continue silently. */
export class GuestWatch {
  private wasFound = false;
  private isTold = false;
  private last: AttachRefusal | undefined;

  constructor(private readonly reporter: RunReporter) {}

  /** Takes the end of an attempt to find the guest's system; undefined stands for one that found it. */
  note(refusal: AttachRefusal | undefined): void {
    this.last = refusal;
    if (refusal === undefined) this.wasFound = true;
    else if (!refusal.isEarly) this.tell("the guest's system cannot be read", refusal);
  }

  /** Reports the reason of the last attempt when none has succeeded: all of them may have been too early. */
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
