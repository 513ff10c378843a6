import { ReboxError } from "../config/rebox-error";

/** Arguments, files or a state of things with which a command cannot work. Its message is for the user. */
export class UsageError extends ReboxError {
  readonly code = "REBOX_USAGE";
}
