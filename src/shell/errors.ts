import { ReboxError } from "../config/rebox-error";

/** A command line that cannot be carried out as it is written. Its message is for the person who wrote it. */
export class CommandError extends ReboxError {
  readonly code = "REBOX_COMMAND";
}

/** Standard input is read by another shell of this process. */
export class InputTakenError extends ReboxError {
  readonly code = "REBOX_SHELL_INPUT_TAKEN";
}

/** A command that QEMU's monitor passes on and this rebox does not have. */
export class MonitorCommandError extends ReboxError {
  readonly code = "REBOX_MONITOR_COMMAND";
}
