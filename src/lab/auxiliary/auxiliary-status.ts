/** How far an auxiliary module has come in an analysis. */
export type AuxiliaryState =
  /** conf/auxiliary.conf does not enable it, or it said itself that there is nothing to do. */
  | "disabled"
  /** Its constructor, or start(), failed. */
  | "failed"
  | "started"
  /** stop() has ended, or there is none. */
  | "stopped"
  /** stop() failed or took too long. */
  | "stop-failed";

/** What the record of an analysis says of an auxiliary module. */
export interface AuxiliaryStatus {
  readonly name: string;
  readonly state: AuxiliaryState;
  /** Why it is disabled or failed. */
  readonly reason?: string | undefined;
  /** What went wrong meanwhile, in order; the failure of start() or stop() is among them. */
  readonly errors: readonly string[];
}
