import type { SigmaLogSource } from "./rule";

/** The fields of a log source's events, by the names that the taxonomy gives them. */
export interface LogSource {
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

function source(category: string, fields: readonly string[]): LogSource {
  return { category, fields: new Set(fields) };
}

/**
 * Finds where the events for a rule come from.
 *
 * @returns the source, or a text with the reason why there is none
 */
export function findLogSource({ category, product, service }: SigmaLogSource): LogSource | string {
  if (product === "rebox" && category !== undefined) return { category: `rebox/${category}`, fields: undefined };
  if (product !== undefined && product !== "linux") return `it is for ${product}`;
  const named = [product, category, service].filter((part) => part !== undefined).join("/");
  const found = LOG_SOURCES.find((one) => one.category === category);
  // A service is a program that writes a log of its own, in its own words.
  if (found === undefined || service !== undefined) return `an analysis has no log source ${named || "without a name"}`;
  return found;
}
