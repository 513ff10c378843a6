/** The door "rebox/lab": what modules of a lab (auxiliary modules and machinery) are made of. */

export { Auxiliary, type OptionValue } from "../lab/auxiliary/auxiliary";
export type {
  AnalysisLog,
  AuxiliaryMachine,
  AuxiliaryRun,
  GuestHandle,
  GuestObservation,
} from "../lab/auxiliary/auxiliary-run";
export type { GuestObserver } from "../shell/commands/guest-observer";
export type { Moment } from "../config/moment";
export { config } from "../config/schema/settings";
export type { SettingsOf, SettingsSchema } from "../config/schema/settings-schema";
export { CuckooMachinery } from "../lab/machinery/cuckoo-machinery";
export { LibVirtMachinery } from "../lab/machinery/drivers/libvirt/libvirt-machinery";
export {
  AuxiliaryDisabled,
  CuckooMachineError,
  GuestAgentError,
  MachineNotFoundError,
  MachineryConnectionError,
  MachineryDependencyError,
  MachineryError,
  MachineryUnhandledStateError,
  MachineStateReachedError,
  MachineUnexpectedStateError,
  NotSupportedError,
} from "../lab/errors";
export { describeFiles, type FileType } from "../lab/sample/file-types";
export { Machinery, type MachineryCapabilities, type MachineryContext } from "../lab/machinery/machinery";
export type { LabMachine, MachineFacts, MachineState, MachineStatus } from "../lab/machinery/records/lab-machine";
export { findKeys, type KeyPress } from "../lab/ways/keyboard-keys";
export type { RunEvent } from "../shell/line/run-feed";
export {
  defineSignature,
  type SeenAct,
  type SeenProcess,
  type Signature,
  type SignatureFacts,
  type SignatureWatcher,
} from "../lab/verdict/signature";
export { z } from "zod";
