import { ReboxError } from "../config/rebox-error";

/**
 * Reports that a machinery could not do what it was asked for. Modules throw it, or one of its kinds; unless a kind says
 * otherwise, the machine is quarantined. The name is Cuckoo's.
 */
export class CuckooMachineError extends ReboxError {
  readonly code: string = "REBOX_MACHINE_FAILED";
}

/** The same for what rebox's own machineries throw. */
export class MachineryError extends CuckooMachineError {
  override readonly code: string = "REBOX_MACHINERY";
}

/** Reports that the hypervisor cannot be reached, or does not answer in time. */
export class MachineryConnectionError extends MachineryError {
  override readonly code = "REBOX_MACHINERY_CONNECTION";
}

/** Reports that the hypervisor names a state that has no counterpart here. */
export class MachineryUnhandledStateError extends MachineryError {
  override readonly code = "REBOX_MACHINERY_UNHANDLED_STATE";
}

/** Reports that a program or library that the machinery needs is missing. */
export class MachineryDependencyError extends MachineryError {
  override readonly code = "REBOX_MACHINERY_DEPENDENCY";
}

/** Reports that the hypervisor knows no machine of this label. */
export class MachineNotFoundError extends MachineryError {
  override readonly code = "REBOX_MACHINE_NOT_FOUND";
}

/** Reports that the machine is in a state in which the action makes no sense. */
export class MachineUnexpectedStateError extends MachineryError {
  override readonly code = "REBOX_MACHINE_UNEXPECTED_STATE";
}

/** Reports that the machine is already in the state that the action would bring it to: this counts as success. */
export class MachineStateReachedError extends MachineryError {
  override readonly code = "REBOX_MACHINE_STATE_REACHED";
}

/** Reports that a program of the host's ended with a status other than 0. */
export class ProgramError extends MachineryError {
  override readonly code = "REBOX_PROGRAM";

  /** @param stderr the text that the program wrote to standard error */
  constructor(
    message: string,
    readonly stderr: string,
  ) {
    super(message);
  }
}

/** A golden state that cannot be used: damaged, or made with something that is another by now. */
export class GoldenStateError extends MachineryError {
  override readonly code = "REBOX_GOLDEN_STATE";
}

/** Reports that QEMU refused a command of QMP. */
export class QmpCommandError extends MachineryError {
  override readonly code = "REBOX_QMP_COMMAND";

  /** @param errorClass QEMU's class of the error: "GenericError", "CommandNotFound" */
  constructor(
    command: string,
    readonly errorClass: string,
    readonly description: string,
  ) {
    super(`QEMU refuses ${command}: ${description} (${errorClass})`);
  }
}

/** Reports that the QEMU guest agent in a guest refused a command. */
export class GuestAgentError extends MachineryError {
  override readonly code = "REBOX_GUEST_AGENT";

  /** @param description the agent's own words */
  constructor(
    command: string,
    readonly description: string,
  ) {
    super(`the guest agent refuses ${command}: ${description}`);
  }
}

/** Reports that a machine did not get into a state in time. */
export class StateTimeoutError extends CuckooMachineError {
  override readonly code = "REBOX_MACHINE_STATE_TIMEOUT";
}

/** Reports that a machine is paused and cannot be resumed; it is as good as before, and stays in the pool. */
export class HandlePausedError extends CuckooMachineError {
  override readonly code = "REBOX_MACHINE_STAYS_PAUSED";
}

/** Reports that the machinery cannot do this at all; the machine is as good as before, and stays in the pool. */
export class NotSupportedError extends CuckooMachineError {
  override readonly code = "REBOX_MACHINERY_NOT_SUPPORTED";
}

/** Reports that the lab or its manager was asked for something that it cannot do. */
export class MachineryManagerError extends ReboxError {
  readonly code: string = "REBOX_LAB";
}

/** Reports that no machine has this name. */
export class MachineDoesNotExistError extends MachineryManagerError {
  override readonly code = "REBOX_MACHINE_UNKNOWN";
}

/** Reports that no machine will ever fit what is asked for. */
export class MachineUnserviceableError extends MachineryManagerError {
  override readonly code = "REBOX_MACHINE_UNSERVICEABLE";
}

/** Reports a module of the user's that cannot be used. */
export class MachineryModuleError extends ReboxError {
  readonly code = "REBOX_MACHINERY_MODULE";
}

/** Thrown by an auxiliary module that has nothing to do in an analysis. Nothing has failed: the module is left out. */
export class AuxiliaryDisabled extends ReboxError {
  readonly code = "REBOX_AUXILIARY_DISABLED";

  /** @param reason the reason, for the analysis' record */
  constructor(reason = "nothing to do for this analysis") {
    super(reason);
  }
}

/** Reports that an analysis cannot be made, or cannot continue. */
export class AnalysisError extends ReboxError {
  readonly code: string = "REBOX_ANALYSIS";
}

/** Reports that an action on the machine of an analysis has failed. */
export class MachineActionError extends AnalysisError {
  override readonly code: string;

  /** @param code of the error by which the action has failed */
  constructor(message: string, code?: string) {
    super(message);
    this.code = code ?? "REBOX_ANALYSIS";
  }
}

/** Reports that a machine cannot be given the network that is asked for. */
export class NetworkError extends AnalysisError {
  override readonly code: string = "REBOX_NETWORK";
}

/** Reports that this host lacks, or forbids, what a simulated network is made of. */
export class NetworkHostError extends NetworkError {
  override readonly code = "REBOX_NETWORK_HOST";
}

/** Reports that a part of a simulated network has ended, or does not begin. */
export class NetworkGoneError extends NetworkError {
  override readonly code = "REBOX_NETWORK_GONE";
}

/** Reports that a way into a guest does not answer, or not as it should. */
export class WayInError extends AnalysisError {
  override readonly code: string = "REBOX_WAY_IN";
}

/** Reports that a way into a guest was there and has broken: the machine may have gone off. */
export class GuestGoneError extends WayInError {
  override readonly code = "REBOX_GUEST_GONE";
}

/** Reports that a Sigma rule is not understood, or asks for what is not supported. */
export class SigmaSyntaxError extends ReboxError {
  readonly code = "REBOX_SIGMA_RULE";
}

/** Reports that a folder of Sigma rules cannot be read. */
export class SigmaFolderError extends ReboxError {
  readonly code = "REBOX_SIGMA_FOLDER";
}

/** Reports that the guest's kernel has refused to execute the target. */
export class TargetRefusedError extends AnalysisError {
  override readonly code = "REBOX_TARGET_REFUSED";

  /** @param errno the kernel's answer, as errno(3) counts; undefined when it was not seen */
  constructor(
    readonly errno: number | undefined,
    reason = "the guest cannot execute the target",
  ) {
    super(reason);
  }
}

/** Reports that the cluster of a lab cannot be used: its database, its store, or how they are named. */
export class ClusterError extends ReboxError {
  readonly code = "REBOX_CLUSTER";
}

/** Reports that a cluster's store has no file of this name: it may have it later. */
export class MissingFileError extends ClusterError {}

/** Reports a file of a cluster's store, or its name, that is none: asking again does not help. */
export class StoredFileError extends ClusterError {}

/** Reports that a cluster knows a number of a lab as another analysis. */
export class OtherAnalysisError extends ClusterError {}
