/** What scripts import as "rebox". */

import { provideGuestEvents } from "./guest-events/provide-guest-events";

export type { AnalysisLog } from "./auxiliary/analysis-log";
export { Auxiliary, type OptionValue } from "./auxiliary/auxiliary";
export { AuxiliaryDisabled } from "./auxiliary/auxiliary-disabled";
export type { AuxiliaryMachine, AuxiliaryRun, GuestHandle, GuestObservation } from "./auxiliary/auxiliary-run";
export { BP } from "./breakpoints/breakpoint";
export type { BreakpointHit, BreakpointOptions, BreakpointType } from "./breakpoints/breakpoint-types";
export { CallbackManager } from "./callbacks/callback-manager";
export type { AddressRange, CallbackFilter, ValueFilter } from "./callbacks/callback-filter";
export type { CallbackFunctions, CallbackOptions, CallbackType, StreamOptions } from "./callbacks/callback-types";
export { EventBatch, type StreamColumn, type StreamType, type WideStreamColumn } from "./callbacks/event-batch";
export { type CallbackStatistics, listCallbacks } from "./callbacks/list-callbacks";
export { TranslationBlock } from "./callbacks/translation-block";
export { TriggerError } from "./callbacks/trigger-error";
export type { TriggerValue } from "./callbacks/triggers";
export type { GuestObserver } from "./commands/guest-observer";
export { DiskError } from "./disks/disk-error";
export {
  getFilesystems,
  type GuestDirectoryEntry,
  type GuestFileSystem,
  openGuestPath,
  type OpenGuestPathOptions,
} from "./disks/file-systems";
export { GuestFile } from "./disks/guest-file";
export { GuestFiles, type GuestFilesOptions, type GuestPlace } from "./disks/guest-files";
export type { GuestPackage } from "./disks/packages/guest-package";
export { listPackages, type PackageList } from "./disks/packages/list-packages";
export { type FileEvent, type FileEventKind, FileEvents } from "./guest-events/file-events";
export { followGuest } from "./guest-events/follow-guest";
export { FileSearch, type FileSearchQuery } from "./disks/search/file-search";
export { printMode, printTime } from "./disks/search/go-text";
export { type FileFindings, type FileHit, searchFiles } from "./disks/search/search-files";
export { type CallbackFailure, Engine, type EngineEnd, type EngineEvents, type EngineState } from "./engine/engine";
export { EngineStartError, EngineUsageError, QmpError } from "./engine/engine-errors";
export type { Subscription } from "./engine/listeners";
export { Cpu, getNumCpus, type RegisterName, readCpu, writeRegister, writeSegmentRegister } from "./guest/cpu";
export { diagnoseGuest, findGuest, findGuestRefusal, getGuest, waitForGuest } from "./guest/guest";
export { writeIsf } from "./guest/guest-isf";
export { writeGuestTypes } from "./guest/guest-types";
export { AttachError, type AttachRefusal, type AttachStep } from "./guest/linux/attach-error";
export { KernelDataError } from "./guest/linux/kernel-data-error";
export type { Credentials } from "./guest/linux/credentials";
export type { DiagnosisStep, DiagnosisStepName, GuestDiagnosis } from "./guest/linux/guest-diagnosis";
export type { GuestModule } from "./guest/linux/guest-module";
export type { ModuleSymbol } from "./guest/linux/guest-symbols";
export type { LogRecord } from "./guest/linux/kernel-log";
export type { LinuxGuest } from "./guest/linux/linux-guest";
export type { LinuxKernel } from "./guest/linux/linux-kernel";
export type { LinuxProcess } from "./guest/linux/linux-process";
export type { Mapping } from "./guest/linux/memory-map";
export { MissingSymbolError } from "./guest/linux/missing-symbol-error";
export type { Mount } from "./guest/linux/mount";
export type { NetworkNeighbour } from "./guest/linux/neighbours";
export type { NetworkAddress, NetworkInterface } from "./guest/linux/network-interfaces";
export type { OpenFile } from "./guest/linux/open-file";
export type { GuestSocket } from "./guest/linux/socket";
export type { SocketFacts } from "./guest/linux/socket-facts";
export type { SystemCall, SystemCallParameter } from "./guest/linux/system-call";
export type { GuestStruct, StructName, StructOf } from "./guest/linux/struct-view";
export type { TaskFacts } from "./guest/linux/task-reader";
export { dumpMemory, type DumpMemoryOptions, type MemoryDump } from "./guest/images/dump-memory";
export { openImage, type OpenedImage, type OpenImageOptions } from "./guest/images/open-image";
export { loadVm, mouseButton, mouseMove, saveVm, screenshot, sendKey } from "./guest/machine";
export { findPa, readIoPort, readPa, readVa, vaToPa, viewPa, writeIoPort, writePa, writeVa } from "./guest/memory";
export { MemoryError } from "./guest/memory-error";
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
} from "./guest/processes";
export { type ProcessSearch, type ProcessSearchOptions, searchProcess } from "./guest/search-process";
export type { SystemCallEntry } from "./guest/system-call-entry";
export { getSystemCallEntries, getSystemCalls } from "./guest/system-calls";
export { AddressError } from "./memory/address-error";
export { ImageError } from "./memory/images/image-error";
export type { ImageFormat } from "./memory/images/image-layout";
export { callWithin } from "./memory/search/cut-off";
export { BytePattern } from "./memory/search/byte-pattern";
export type { PageRun } from "./memory/resident-pages";
export type { SearchPattern } from "./memory/search/search-pattern";
export { compileExpression, TextPattern } from "./memory/search/text-pattern";
export { BtfError } from "./symbols/btf-error";
export type { GuestSymbol, SymbolTable } from "./symbols/symbol-table";
export type { TypeSource } from "./symbols/type-source";
export type * from "./symbols/guest-type";
export { MissingTypeError } from "./symbols/missing-type-error";
export { type Hot, hot } from "./scripts/hot-data";
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
export type { InvestigationContext, PersistentContext, Vantage } from "./investigation/investigation-context";
export type * from "./investigation/investigation-module";
export { registerInvestigation } from "./investigation/investigation-registry";
export type { InvestigationResult } from "./investigation/investigation-result";
export { type FlagKind, type Flags, parseFlags } from "./investigation/parse-flags";
export { PersistentInvestigation } from "./investigation/persistent-investigation";
export { UsageShown } from "./investigation/usage-shown";
export { z } from "zod";
export { config } from "./config/schema/settings";
export type { SettingsOf, SettingsSchema } from "./config/schema/setting";
export { CuckooMachinery } from "./machinery/cuckoo-machinery";
export { LibVirtMachinery } from "./machinery/drivers/libvirt/libvirt-machinery";
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
} from "./machinery/errors";
export { Machinery, type MachineryCapabilities } from "./machinery/machinery";
export type { MachineryContext } from "./machinery/machinery-context";
export type { Machine, MachineFacts } from "./machinery/records/machine";
export type { MachineState, MachineStatus } from "./machinery/records/machine-state";
export type { RunEvent } from "./shell/run-feed";
export { startShell } from "./shell/start-shell";
export { ScriptError } from "./scripts/script-error";
export { volatility } from "./volatility/volatility-api";
export type { VolatilityOptions, VolatilityResult } from "./volatility/volatility";
export { VolatilityError, type VolatilityFailure } from "./volatility/volatility-error";
export type { VolatilityPlugin } from "./volatility/volatility-program";
export type { VolatilityRow, VolatilityValue } from "./volatility/volatility-rows";
export { getBlockCount, setBlockCounting } from "./callbacks/block-counter";

provideGuestEvents();
