/** What scripts import as "rebox". */

import { provideGuestEvents } from "./guest/events/provide-guest-events";

export type { AnalysisLog } from "./lab/auxiliary/analysis-log";
export { Auxiliary, type OptionValue } from "./lab/auxiliary/auxiliary";
export { AuxiliaryDisabled } from "./lab/auxiliary/auxiliary-disabled";
export type { AuxiliaryMachine, AuxiliaryRun, GuestHandle, GuestObservation } from "./lab/auxiliary/auxiliary-run";
export { BP } from "./guest/breakpoints/breakpoint";
export type { BreakpointHit, BreakpointOptions, BreakpointType } from "./guest/breakpoints/breakpoint-types";
export { CallbackManager } from "./machine/callbacks/callback-manager";
export type { AddressRange, CallbackFilter, ValueFilter } from "./machine/callbacks/callback-filter";
export type {
  CallbackFunctions,
  CallbackOptions,
  CallbackType,
  StreamOptions,
} from "./machine/callbacks/callback-types";
export { EventBatch, type StreamColumn, type StreamType, type WideStreamColumn } from "./machine/callbacks/event-batch";
export { type CallbackStatistics, listCallbacks } from "./machine/callbacks/list-callbacks";
export { TranslationBlock } from "./machine/callbacks/translation-block";
export { TriggerError } from "./machine/callbacks/trigger-error";
export type { TriggerValue } from "./machine/callbacks/triggers";
export type { GuestObserver } from "./shell/commands/guest-observer";
export { DiskError } from "./guest/disks/disk-error";
export {
  getFilesystems,
  type GuestDirectoryEntry,
  type GuestFileSystem,
  openGuestPath,
  type OpenGuestPathOptions,
} from "./guest/disks/file-systems";
export { GuestFile } from "./guest/disks/guest-file";
export { GuestFiles, type GuestFilesOptions, type GuestPlace } from "./guest/disks/guest-files";
export type { GuestPackage } from "./guest/disks/packages/guest-package";
export { listPackages, type PackageList } from "./guest/disks/packages/list-packages";
export { type FileEvent, type FileEventKind, FileEvents } from "./guest/events/file-events";
export { followGuest } from "./guest/events/follow-guest";
export { FileSearch, type FileSearchQuery } from "./guest/disks/search/file-search";
export { printMode, printTime } from "./guest/disks/search/go-text";
export { type FileFindings, type FileHit, searchFiles } from "./guest/disks/search/search-files";
export {
  type CallbackFailure,
  Engine,
  type EngineEnd,
  type EngineEvents,
  type EngineState,
} from "./machine/engine/engine";
export { EngineStartError, EngineUsageError, QmpError } from "./machine/engine/engine-errors";
export type { Subscription } from "./machine/engine/listeners";
export { Cpu, getNumCpus, type RegisterName, readCpu, writeRegister, writeSegmentRegister } from "./machine/state/cpu";
export { diagnoseGuest, findGuest, findGuestRefusal, getGuest, waitForGuest } from "./guest/guest";
export { writeIsf } from "./guest/guest-isf";
export { writeGuestTypes } from "./guest/guest-types";
export {
  AddressError,
  AttachError,
  type AttachRefusal,
  type AttachStep,
  BtfError,
  ImageError,
  KernelDataError,
  MissingSymbolError,
  MissingTypeError,
} from "./systems/errors";
export type { Credentials } from "./systems/linux/processes/credentials";
export type { DiagnosisStep, DiagnosisStepName, GuestDiagnosis } from "./systems/linux/guest-diagnosis";
export type { GuestModule } from "./systems/linux/modules/guest-module";
export type { ModuleSymbol } from "./systems/linux/guest-symbols";
export type { LogRecord } from "./systems/linux/system/kernel-log";
export type { LinuxGuest } from "./systems/linux/linux-guest";
export type { LinuxKernel } from "./systems/linux/structs/linux-kernel";
export type { LinuxProcess } from "./systems/linux/linux-process";
export type { Mapping } from "./systems/linux/processes/memory-map";
export type { Mount } from "./systems/linux/files/mount";
export type { NetworkNeighbour } from "./systems/linux/network/neighbours";
export type { NetworkAddress, NetworkInterface } from "./systems/linux/network/network-interfaces";
export type { OpenFile } from "./systems/linux/files/open-file";
export type { GuestSocket, SocketFacts } from "./systems/linux/network/socket";
export type { SystemCall, SystemCallParameter } from "./systems/linux/system/system-call";
export type { GuestStruct, StructName, StructOf } from "./systems/linux/structs/struct-view";
export type { TaskFacts } from "./systems/linux/processes/task-reader";
export { dumpMemory, type DumpMemoryOptions, type MemoryDump } from "./guest/images/dump-memory";
export { openImage, type OpenedImage, type OpenImageOptions } from "./guest/images/open-image";
export { loadVm, mouseButton, mouseMove, saveVm, screenshot, sendKey } from "./machine/state/machine";
export {
  findPa,
  readIoPort,
  readPa,
  readVa,
  vaToPa,
  viewPa,
  writeIoPort,
  writePa,
  writeVa,
} from "./machine/state/memory";
export { MemoryError } from "./machine/state/memory-error";
export {
  getModuleList,
  getOsBits,
  getProcessList,
  getSymbolList,
  getSystemTime,
  symToVa,
  vaToSym,
} from "./guest/operating-system";
export {
  ALL_PROCESSES,
  getRunningProcess,
  isKernelRunning,
  isMonitoredProcess,
  startMonitoringProcess,
  stopMonitoringProcess,
} from "./machine/state/processes";
export { type ProcessSearch, type ProcessSearchOptions, searchProcess } from "./guest/search-process";
export type { SystemCallEntry } from "./guest/system-call-entry";
export { getSystemCallEntries, getSystemCalls } from "./guest/system-calls";
export type { ImageFormat } from "./systems/memory/images/image-layout";
export { callWithin } from "./config/limits";
export { BytePattern } from "./systems/memory/search/byte-pattern";
export type { PageRun } from "./systems/memory/resident-pages";
export type { SearchPattern } from "./systems/memory/search/search-pattern";
export { compileExpression, TextPattern } from "./systems/memory/search/text-pattern";
export type { GuestSymbol, SymbolTable } from "./systems/symbols/symbol-table";
export type { TypeSource } from "./systems/symbols/type-source";
export type * from "./systems/symbols/guest-type";
export { type Hot, hot } from "./scripts/script-api";
export {
  type CustomCommand,
  importModule,
  listCommands,
  listModules,
  type ModuleInfo,
  reloadModule,
  runCommand,
  unloadModule,
} from "./scripts/module-control";
export { formatDuration, parseDuration } from "./investigation/go-duration";
export { Investigation, type Findings } from "./investigation/investigation";
export type { InvestigationContext, PersistentContext, Vantage } from "./investigation/module";
export type * from "./investigation/module";
export { registerInvestigation } from "./investigation/catalog";
export type { InvestigationResult } from "./investigation/result";
export { type FlagKind, type Flags, parseFlags } from "./investigation/parameters";
export { PersistentInvestigation } from "./investigation/persistent/investigation";
export { UsageShown } from "./investigation/errors";
export { z } from "zod";
export { config } from "./config/schema/settings";
export type { SettingsOf, SettingsSchema } from "./config/schema/settings-schema";
export { CuckooMachinery } from "./lab/machinery/cuckoo-machinery";
export { LibVirtMachinery } from "./lab/machinery/drivers/libvirt/libvirt-machinery";
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
} from "./lab/machinery/errors";
export { Machinery, type MachineryCapabilities } from "./lab/machinery/machinery";
export type { MachineryContext } from "./lab/machinery/machinery-context";
export type { LabMachine, MachineFacts } from "./lab/machinery/records/lab-machine";
export type { MachineState, MachineStatus } from "./lab/machinery/records/machine-state";
export type { RunEvent } from "./shell/line/run-feed";
export { startShell } from "./shell/line/start-shell";
export { ScriptError } from "./scripts/errors";
export { volatility } from "./guest/volatility/volatility-api";
export type { VolatilityOptions, VolatilityResult } from "./guest/volatility/volatility";
export { VolatilityError, type VolatilityFailure } from "./guest/volatility/volatility-error";
export type { VolatilityPlugin } from "./guest/volatility/volatility-program";
export type { VolatilityRow, VolatilityValue } from "./guest/volatility/volatility-rows";
export { getBlockCount, setBlockCounting } from "./machine/callbacks/block-counter";

provideGuestEvents();
