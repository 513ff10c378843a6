/** What one check of `rebox doctor` found. */
export interface CheckResult {
  readonly name: string;
  readonly status: "ok" | "warn" | "fail";
  /** What was found. */
  readonly detail: string;
  /** What to do; only when the status is not ok. */
  readonly advice?: string;
}
