/** A machinery could not do what it was asked for. Modules throw it; the message says what happened and what to do next. */
export class CuckooMachineError extends Error {
  override readonly name: string = "CuckooMachineError";
}

/** The same for what rebox's own machineries throw. Unless said otherwise below, the machine is quarantined. */
export class MachineryError extends CuckooMachineError {
  override readonly name: string = "MachineryError";
}

/** The hypervisor cannot be reached, or does not answer in time. */
export class MachineryConnectionError extends MachineryError {
  override readonly name = "MachineryConnectionError";
}

/** The hypervisor tells of a state that has no counterpart here. */
export class MachineryUnhandledStateError extends MachineryError {
  override readonly name = "MachineryUnhandledStateError";
}

/** A program or library that the machinery needs is missing. */
export class MachineryDependencyError extends MachineryError {
  override readonly name = "MachineryDependencyError";
}

/** The hypervisor knows no machine of this label. */
export class MachineNotFoundError extends MachineryError {
  override readonly name = "MachineNotFoundError";
}

/** The machine is in a state in which the action makes no sense. */
export class MachineUnexpectedStateError extends MachineryError {
  override readonly name = "MachineUnexpectedStateError";
}

/** The machine is already what the action would make it: counts as success. */
export class MachineStateReachedError extends MachineryError {
  override readonly name = "MachineStateReachedError";
}

/** The machinery cannot do this at all; the machine is as good as before. */
export class NotSupportedError extends CuckooMachineError {
  override readonly name = "NotSupportedError";
}

/** Something was asked of the manager that it cannot do. */
export class MachineryManagerError extends Error {
  override readonly name: string = "MachineryManagerError";
}

/** No machine has this name. */
export class MachineDoesNotExistError extends MachineryManagerError {
  override readonly name = "MachineDoesNotExistError";
}

/** No machine will ever fit what is asked for. */
export class MachineUnserviceableError extends MachineryManagerError {
  override readonly name = "MachineUnserviceableError";
}

/** A module of the user's that cannot be used. */
export class MachineryModuleError extends Error {
  override readonly name = "MachineryModuleError";
}
