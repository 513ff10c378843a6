/** The door "rebox/lab": what modules of a lab (auxiliary modules and machinery) are made of. */

export type { AnalysisLog } from "../lab/auxiliary/analysis-log";
export { Auxiliary, type OptionValue } from "../lab/auxiliary/auxiliary";
export { AuxiliaryDisabled } from "../lab/auxiliary/auxiliary-disabled";
export type { AuxiliaryMachine, AuxiliaryRun, GuestHandle, GuestObservation } from "../lab/auxiliary/auxiliary-run";
export type { GuestObserver } from "../shell/commands/guest-observer";
export { config } from "../config/schema/settings";
export type { SettingsOf, SettingsSchema } from "../config/schema/settings-schema";
export { CuckooMachinery } from "../lab/machinery/cuckoo-machinery";
export { LibVirtMachinery } from "../lab/machinery/drivers/libvirt/libvirt-machinery";
export {
  CuckooMachineError,
  MachineNotFoundError,
  MachineryConnectionError,
  MachineryDependencyError,
  MachineryError,
  MachineryUnhandledStateError,
  MachineStateReachedError,
  MachineUnexpectedStateError,
  NotSupportedError,
} from "../lab/machinery/errors";
export { Machinery, type MachineryCapabilities } from "../lab/machinery/machinery";
export type { MachineryContext } from "../lab/machinery/machinery-context";
export type { LabMachine, MachineFacts } from "../lab/machinery/records/lab-machine";
export type { MachineState, MachineStatus } from "../lab/machinery/records/machine-state";
export type { RunEvent } from "../shell/line/run-feed";
export { z } from "zod";
