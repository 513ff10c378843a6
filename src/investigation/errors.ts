import { ReboxError } from "../config/rebox-error";

/** Ends the reading of parameters without a run: help was asked for, or the person gave up. The message is the text to show. */
export class UsageShown extends ReboxError {
  readonly code = "REBOX_INVESTIGATION_USAGE";
}

/** Parameters, flags or a configuration that a module does not accept. */
export class ParameterError extends ReboxError {
  readonly code = "REBOX_INVESTIGATION_PARAMETERS";
}

/** A line that is no message of an investigation, or one that does not belong there. */
export class MessageError extends ReboxError {
  readonly code = "REBOX_INVESTIGATION_MESSAGE";
}

/** A module that does not exist, cannot be loaded, is registered twice, or is not of the kind that was asked for. */
export class ModuleError extends ReboxError {
  readonly code = "REBOX_INVESTIGATION_MODULE";
}

/** A run or an instance that was ended before it had answered: the reason of its signal. */
export class RunEndedError extends ReboxError {
  readonly code = "REBOX_INVESTIGATION_ENDED";
}

/** A module that looks at a guest was run on this host alone. */
export class NoGuestError extends ReboxError {
  readonly code = "REBOX_INVESTIGATION_NO_GUEST";
}
