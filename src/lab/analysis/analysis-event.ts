/** One thing that happened in an analysis: a line of events.jsonl. */
export interface AnalysisEvent {
  /** ISO 8601, UTC. */
  readonly time: string;
  /** What happened, such as "process.created"; an auxiliary module's own types begin with its name and a point. */
  readonly type: string;
  readonly [fact: string]: unknown;
}

/** The types that a report shows in a way of their own, with their facts. */
export interface KnownEvents {
  "process.created": { pid: number; ppid: number | undefined; name: string; commandLine?: string };
  "process.executed": { pid: number; name: string; commandLine: string; executable: string };
  "process.ended": { pid: number; name: string };
  "file.written": { pid: number; process: string; path: string };
  "file.removed": { pid: number; process: string; path: string };
  "file.renamed": { pid: number; process: string; path: string; to: string };
  "network.connected": { pid: number; process: string; protocol: string; address: string; port: number };
  screenshot: { file: string };
}
