/** What scripts import as "rebox". */

export { CallbackManager } from "./callbacks/callback-manager";
export type { AddressRange, CallbackFilter, ValueFilter } from "./callbacks/callback-filter";
export type { CallbackFunctions, CallbackOptions, CallbackType, StreamOptions } from "./callbacks/callback-types";
export { EventBatch, type StreamColumn, type StreamType } from "./callbacks/event-batch";
export { type CallbackStatistics, listCallbacks } from "./callbacks/list-callbacks";
export { TranslationBlock } from "./callbacks/translation-block";
export { TriggerError } from "./callbacks/trigger-error";
export type { TriggerValue } from "./callbacks/triggers";
export { type CallbackFailure, Engine, type EngineEnd, type EngineEvents, type EngineState } from "./engine/engine";
export { EngineStartError, EngineUsageError, QmpError } from "./engine/engine-errors";
export type { Subscription } from "./engine/listeners";
export { Cpu, getNumCpus, type RegisterName, readCpu, writeRegister, writeSegmentRegister } from "./guest/cpu";
export { loadVm, mouseButton, mouseMove, saveVm, screenshot, sendKey } from "./guest/machine";
export { findPa, readIoPort, readPa, readVa, vaToPa, viewPa, writeIoPort, writePa, writeVa } from "./guest/memory";
export { MemoryError } from "./guest/memory-error";
export {
  ALL_PROCESSES,
  getRunningProcess,
  isKernelRunning,
  isMonitoredProcess,
  startMonitoringProcess,
  stopMonitoringProcess,
} from "./guest/processes";
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
export { ScriptError } from "./scripts/script-error";
export { getBlockCount, setBlockCounting } from "./callbacks/block-counter";
