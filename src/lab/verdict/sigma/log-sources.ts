import type { SigmaLogSource } from "./rule";

/** The fields of a log source's events, by the names that the taxonomy gives them. */
export interface LogSource {
  /** That of Windows begins with "windows/". */
  readonly category: string;
  /** Undefined for events that may have any. */
  readonly fields: ReadonlySet<string> | undefined;
}

/** The fields of every event that tell of the process behind it. */
const PROCESS = ["Image", "CommandLine", "ProcessId", "ParentProcessId", "ParentImage", "ParentCommandLine"];

const FILE = [...PROCESS, "TargetFilename"];

/** The log sources that an analysis has events of: those of Linux that the taxonomy describes. Each act is one too, of product "rebox". */
export const LOG_SOURCES: readonly LogSource[] = [
  source("process_creation", [...PROCESS, "Hashes", "sha256"]),
  source("file_event", FILE),
  source("file_change", FILE),
  source("file_delete", FILE),
  source("file_rename", [...FILE, "SourceFilename"]),
  source("network_connection", [
    ...PROCESS,
    ...["Initiated", "Protocol", "SourceIp", "SourcePort", "DestinationIp", "DestinationPort"],
  ]),
];

/** A rule may look at it, and it is never there: nearly all rules for Windows have it beside Image, for a file that was renamed. */
const UNKNOWN_ON_WINDOWS = ["OriginalFileName"];
const ON_WINDOWS = [...PROCESS, ...UNKNOWN_ON_WINDOWS];
const REGISTRY = [...ON_WINDOWS, "TargetObject", "Details", "EventType"];

/** Those of Windows, by the names of Sysmon's events. */
export const WINDOWS_SOURCES: readonly LogSource[] = [
  source("windows/process_creation", ON_WINDOWS),
  source("windows/file_event", [...ON_WINDOWS, "TargetFilename"]),
  source("windows/file_delete", [...ON_WINDOWS, "TargetFilename"]),
  source("windows/file_rename", [...ON_WINDOWS, "TargetFilename", "SourceFilename"]),
  source("windows/registry_set", REGISTRY),
  source("windows/registry_add", REGISTRY),
  source("windows/registry_delete", REGISTRY),
  source("windows/registry_event", REGISTRY),
  source("windows/network_connection", [...ON_WINDOWS, "Initiated", "DestinationIp", "DestinationPort"]),
];

function source(category: string, fields: readonly string[]): LogSource {
  return { category, fields: new Set(fields) };
}

/**
 * Finds where the events for a rule come from: a rule that names no product is for both systems.
 *
 * @param platform that of the machine; undefined where rules for every system are wanted
 * @returns the sources, or a text with the reason why there is none
 */
export function findLogSources(
  { category, product, service }: SigmaLogSource,
  platform: string | undefined,
): readonly LogSource[] | string {
  if (product === "rebox" && category !== undefined) return [{ category: `rebox/${category}`, fields: undefined }];
  const known = platform === undefined ? ["linux", "windows"] : [platform];
  if (product !== undefined && !known.includes(product)) return `it is for ${product}`;
  const ofLinux = product === "windows" ? [] : LOG_SOURCES.filter((one) => one.category === category);
  const ofWindows = product === "linux" ? [] : WINDOWS_SOURCES.filter((one) => one.category === `windows/${category}`);
  const found = [...ofLinux, ...ofWindows];
  const named = [product, category, service].filter((part) => part !== undefined).join("/");
  // A service is a program that writes a log of its own, in its own words.
  if (found.length === 0 || service !== undefined) return `an analysis has no log source ${named || "without a name"}`;
  return found;
}
