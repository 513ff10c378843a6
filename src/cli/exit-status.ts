import { constants } from "node:os";

/** The exit statuses of the `rebox` command, beside 128 + n for an end by signal n. */
export const ExitStatus = {
  /** Also: the guest shut down cleanly, or --timeout was reached. */
  success: 0,
  /** Bad arguments, a script that does not load, QEMU refusing its arguments, a guest that panicked. */
  failure: 1,
  /** An investigation that went well, and found nothing. */
  notFound: 3,
  /** The engine crashed, did not stop when asked to, or rebox itself has a defect (EX_SOFTWARE of sysexits.h). */
  engineFault: 70,
} as const;

/** Returns the exit status that shells give to a program ended by a signal: 128 + its number. */
export function getSignalStatus(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
