/** An analysis, as a server tells it: docs/reference/server-api.md. */
export interface RemoteAnalysis {
  readonly id: number;
  readonly state: string;
  readonly phase: string;
  readonly reason: string | null;
  readonly created: string;
  readonly ended: string | null;
  readonly by: string | null;
  readonly note: string | null;
  readonly machine: string | null;
  readonly command: string | null;
  readonly timeoutS: number;
  readonly target: { readonly name: string; readonly sha256: string | null } | null;
  readonly score: number | null;
  readonly judgement: string | null;
}

/** A file of an analysis. */
export interface RemoteFile {
  readonly path: string;
  /** In bytes. */
  readonly size: number;
}

/** A machine of the server's lab. */
export interface RemoteMachine {
  readonly name: string;
  readonly state: string;
  readonly platform: string;
  readonly machinery: string;
  readonly note: string;
}
