/** The door "rebox/trusted": what only trusted scripts and modules have besides "rebox". */

export { BP } from "../guest/breakpoints/breakpoint";
export type { BreakpointHit, BreakpointOptions, BreakpointType } from "../guest/breakpoints/breakpoint-types";
export { type ArtefactLimits, ArtefactStore } from "../guest/artefacts/artefact-store";
export { type CoreLimits, type KeptCore, KeptCores } from "../guest/artefacts/kept-cores";
export { type ProcessCore, writeProcessCore } from "../guest/artefacts/process-core";
export { type KeptFile, KeptFiles, type KeptMoment } from "../guest/artefacts/kept-files";
export { GuestFiles, type GuestFilesOptions, type GuestPlace } from "../guest/disks/guest-files";
export type { GuestPackage } from "../guest/disks/packages/guest-package";
export { listPackages, type PackageList } from "../guest/disks/packages/list-packages";
export { FILE_CHANGES, type FileEvent, type FileEventKind, FileEvents } from "../guest/events/file-events";
export { followGuest } from "../guest/events/follow-guest";
export type { ProcessEnd, ScopeEvent, ScopeOrigin } from "../guest/scope/scope-event";
export { findTargetScope, onAdoption, onTargetBegin, TargetScope } from "../guest/scope/target-scope";
export { FileSearch, type FileSearchQuery } from "../guest/disks/search/file-search";
export { type FileFindings, type FileHit, searchFiles } from "../guest/disks/search/search-files";
export { dumpMemory, type DumpMemoryOptions, type MemoryDump } from "../guest/images/dump-memory";
export { openImage, type OpenedImage, type OpenImageOptions } from "../guest/images/open-image";
export { type ProcessSearch, type ProcessSearchOptions, searchProcess } from "../guest/search-process";
export { ImageError } from "../systems/errors";
export type { ImageFormat } from "../systems/memory/images/image-layout";
export { BytePattern } from "../systems/memory/search/byte-pattern";
export type { PageRun } from "../systems/memory/resident-pages";
export type { SearchPattern } from "../systems/memory/search/search-pattern";
export { TextPattern } from "../systems/memory/search/text-pattern";
export { startShell } from "../shell/line/start-shell";
