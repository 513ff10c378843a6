/** The door "rebox/trusted": what only trusted scripts and modules have besides "rebox". */

export { BP } from "../guest/breakpoints/breakpoint";
export type { BreakpointHit, BreakpointOptions, BreakpointType } from "../guest/breakpoints/breakpoint-types";
export { type ArtefactLimits, ArtefactStore } from "../guest/artefacts/artefact-store";
export { ExecutedPrograms } from "../guest/artefacts/executed-programs";
export type { ExecutedProgram } from "../guest/artefacts/program-numbers";
export { type CodeLimits, CodeFiles, type KeptCode } from "../guest/artefacts/kept-code";
export { type CoreLimits, type KeptCore, KeptCores } from "../guest/artefacts/kept-cores";
export { type ProcessCore, writeProcessCore } from "../guest/artefacts/process-core";
export { type KeptFile, KeptFiles, type KeptMoment } from "../guest/artefacts/kept-files";
export { type WrittenCode, WrittenCodeWatch } from "../guest/artefacts/written-code";
export { GuestFiles, type GuestFilesOptions, type GuestPlace } from "../guest/disks/guest-files";
export type { GuestPackage } from "../guest/disks/packages/guest-package";
export { listPackages, type PackageList } from "../guest/disks/packages/list-packages";
export { FILE_CHANGES, type FileEvent, type FileEventKind, FileEvents } from "../guest/events/file-events";
export { followGuest } from "../guest/events/follow-guest";
export { findRunningProcess, findTaskProcess } from "../guest/events/running-process";
export { type CallChoice, CallJournal, type JournaledCall, type JournalRecord } from "../guest/scope/call-journal";
export { type CallEnd, type CallEndListener, CallReturns } from "../guest/scope/call-returns";
export { type JournalNote, ProcessJournal } from "../guest/scope/process-journal";
export { type RingConnection, type RingFile, type RingRequest, RingRequests } from "../guest/scope/ring-requests";
export type { ProcessEnd, ScopeEvent, ScopeOrigin } from "../guest/scope/scope-event";
export type { ScopeConditions } from "../guest/scope/scope-conditions";
export type { ScopeFollower, ScopeProcess } from "../guest/scope/scope-followers";
export { type BeginListener, findTargetScope, onAdoption, onTargetBegin } from "../guest/scope/current-scope";
export { ChangedPrograms } from "../guest/scope/files/changed-programs";
export { TargetScope } from "../guest/scope/target-scope";
export {
  findWindowsScope,
  onWindowsTargetBegin,
  type WindowsAdoption,
  WindowsScope,
  type WindowsTargetTraits,
} from "../guest/scope/windows-scope";
export type { LastingFiles } from "../guest/scope/written-files";
export { FileSearch, type FileSearchQuery } from "../guest/disks/search/file-search";
export { type FileFindings, type FileHit, searchFiles } from "../guest/disks/search/search-files";
export { dumpMemory, type DumpMemoryOptions, type MemoryDump } from "../guest/images/dump-memory";
export { openImage, type OpenedImage, type OpenImageOptions } from "../guest/images/open-image";
export { type CallFrame, readStackOfCpu } from "../guest/unwinding/call-stack";
export { type ProcessSearch, type ProcessSearchOptions, searchProcess } from "../guest/search-process";
export { type Execution, readExecution } from "../systems/linux/processes/execution";
export { ImageError } from "../systems/errors";
export type { ImageFormat } from "../systems/memory/images/image-layout";
export { BytePattern } from "../systems/memory/search/byte-pattern";
export type { PageRun } from "../systems/memory/resident-pages";
export type { SearchPattern } from "../systems/memory/search/search-pattern";
export { TextPattern } from "../systems/memory/search/text-pattern";
export { GuestControl, type GuestControlOptions } from "../lab/ways/guest-control";
export type { GuestProgram, ScriptResult } from "../lab/ways/guest-way";
export { type EnteredProgram, runToEntry } from "../lab/ways/program-entry";
export { startShell } from "../shell/line/start-shell";
