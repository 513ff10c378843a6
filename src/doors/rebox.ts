/** The door "rebox": exactly what a script in the sandbox has. Trusted scripts and modules import it too. */

export { CallbackManager } from "../machine/callbacks/callback-manager";
export type { AddressRange, CallbackFilter, ValueFilter } from "../machine/callbacks/callback-filter";
export type {
  CallbackFunctions,
  CallbackOptions,
  CallbackType,
  StreamOptions,
} from "../machine/callbacks/callback-types";
export {
  EventBatch,
  type StreamColumn,
  type StreamType,
  type WideStreamColumn,
} from "../machine/callbacks/event-batch";
export { type CallbackStatistics, listCallbacks } from "../machine/callbacks/list-callbacks";
export { TranslationBlock } from "../machine/callbacks/translation-block";
export { TriggerError } from "../machine/errors";
export type { TriggerValue } from "../machine/callbacks/triggers";
export { DiskError } from "../guest/errors";
export {
  getFilesystems,
  type GuestDirectoryEntry,
  type GuestFilesystem,
  openGuestPath,
  type OpenGuestPathOptions,
} from "../guest/disks/file-systems";
export { GuestFile } from "../guest/disks/guest-file";
export { Engine } from "../guest/engine";
export type { CallbackFailure, EngineEnd, EngineEvents, EngineState } from "../machine/engine/engine";
export { EngineStartError, EngineUsageError, QmpError } from "../machine/errors";
export type { Subscription } from "../machine/engine/listeners";
export { Cpu, getNumCpus, type RegisterName, readCpu, writeRegister, writeSegmentRegister } from "../machine/state/cpu";
export {
  diagnoseGuest,
  findGuest,
  findGuestRefusal,
  findSystem,
  getGuest,
  getSystem,
  waitForGuest,
} from "../guest/guest";
export { answerCpuid } from "../guest/answers/answer-cpuid";
export type { CpuidAnswer, CpuidHook, CpuidOptions, CpuidQuestion } from "../guest/answers/cpuid-answers";
export { answerSystemCall } from "../guest/answers/answer-system-call";
export type {
  AnsweredCall,
  AnswerOptions,
  SystemCallAnswer,
  SystemCallAnswers,
} from "../guest/answers/system-call-answers";
export { hookFunction } from "../guest/hooking/hook-function";
export { HookError } from "../guest/errors";
export type { Abandonment, FunctionCall } from "../guest/hooking/function-call";
export type { FunctionHook, HookedPlace } from "../guest/hooking/function-hook";
export type { FunctionHookOptions, HookedProcess } from "../guest/hooking/hook-options";
export type { FunctionDescription, FunctionHandlers } from "../guest/hooking/hooked-function";
export type { RecordedCall } from "../guest/hooking/recording/recorded-call";
export type { BytesType, FunctionValue, ParameterType, ValueType } from "../guest/hooking/values/value-types";
export { backtrace, type BacktraceFrame, type BacktraceThread } from "../guest/unwinding/guest-backtrace";
export type { FrameMethod, StackFrame } from "../guest/unwinding/stack-frame";
export { writeGuestTypes, writeIsf } from "../guest/kernel-types";
export type { Credentials } from "../systems/linux/processes/credentials";
export type { DiagnosisStep, DiagnosisStepName, GuestDiagnosis } from "../systems/linux/guest-diagnosis";
export type {
  AddressName,
  GuestClock,
  GuestModule,
  GuestProcess,
  GuestSystem,
  GuestThread,
  ModuleSymbol,
  SystemSymbols,
} from "../systems/guest-system";
export type { LogRecord } from "../systems/linux/system/kernel-log";
export type { LinuxGuest } from "../systems/linux/linux-guest";
export type { LinuxKernel } from "../systems/linux/structs/linux-kernel";
export type { LinuxProcess, ProcessMemory } from "../systems/linux/linux-process";
export type { Mapping } from "../systems/linux/processes/memory-map";
export type { Mount } from "../systems/linux/files/mount";
export type { NetworkNeighbour } from "../systems/linux/network/neighbours";
export type { NetworkAddress, NetworkInterface } from "../systems/linux/network/network-interfaces";
export type { OpenFile } from "../systems/linux/files/open-file";
export type { SystemCall, SystemCallParameter } from "../systems/system-call";
export type { GuestStruct, StructName, StructOf } from "../systems/structs/struct-view";
export type { TaskFacts } from "../systems/linux/processes/task-reader";
export { mouseButton, mouseMove, screenshot, sendKey } from "../machine/state/machine";
export { loadVm, saveVm } from "../machine/state/snapshots";
export {
  findPa,
  readIoPort,
  readPa,
  readText,
  readVa,
  vaToPa,
  viewPa,
  writeIoPort,
  writePa,
  writeVa,
} from "../machine/state/memory";
export { MemoryError, RecordedError } from "../machine/errors";
export {
  findProcess,
  getModuleList,
  getOsBits,
  getProcessList,
  getSymbolList,
  getSystemTime,
  symToVa,
  vaToSym,
} from "../guest/operating-system";
export {
  ALL_PROCESSES,
  getRunningProcess,
  isKernelRunning,
  isMonitoredProcess,
  startMonitoringProcess,
  stopMonitoringProcess,
} from "../machine/state/processes";
export type { SystemCallEntry } from "../guest/system-calls";
export { listSystemCallEntries, listSystemCalls } from "../guest/system-calls";
export type { WindowsGuest } from "../systems/windows/windows-guest";
export type { WindowsProcess } from "../systems/windows/windows-process";
export type { GuestSymbol, SymbolTable } from "../systems/symbols/symbol-table";
export type { TypeSource } from "../systems/symbols/type-source";
export type * from "../systems/symbols/guest-type";
export { type Hot, hot } from "../scripts/script-api";
export {
  type CustomCommand,
  importModule,
  listCommands,
  listModules,
  type ModuleInfo,
  reloadModule,
  runCommand,
  unloadModule,
} from "../scripts/module-control";
export { ScriptError } from "../scripts/errors";
export { volatility } from "../guest/volatility/volatility";
export type { VolatilityOptions, VolatilityResult } from "../guest/volatility/volatility";
export { VolatilityError, type VolatilityFailure } from "../guest/errors";
export type { VolatilityPlugin } from "../guest/volatility/volatility-program";
export type { VolatilityRow, VolatilityValue } from "../guest/volatility/volatility-rows";
export { getInstructionCount } from "../machine/state/instruction-count";
export { getBlockCount, setBlockCounting } from "../machine/callbacks/block-counter";
export {
  AddressError,
  AttachError,
  type AttachRefusal,
  type AttachStep,
  BtfError,
  KernelDataError,
  MissingSymbolError,
  MissingTypeError,
} from "../systems/errors";
export type { GuestSocket, SocketFacts } from "../systems/linux/network/socket";
