import type { ExportReader } from "./loading/required-imports";

/** Runs a script's code: in the sandbox, or, trusted, beside rebox itself. */
export interface ScriptRuntime extends ExportReader {
  /**
   * Runs the script's top level.
   *
   * @returns its exports; the functions among them can be called from rebox
   * @throws all that the script throws
   */
  run(): Readonly<Record<string, unknown>>;
  /** Sets the script's module handle, before initialize_callbacks() is called. */
  start(moduleHandle: number): void;
  /**
   * Calls a function, cut off when it takes too long.
   *
   * @throws TimeLimitError
   */
  call<Result>(call: () => Result, limitMs: number): Result;
  /**
   * Copies the script's hot.data.
   *
   * @returns the copy for the runtime of the next version
   * @throws Error when there is something in it that cannot be copied
   */
  copyHotData(): unknown;
  /** Makes an error that the script threw, in its own realm or rebox's, one of rebox's; undefined for another's error. */
  findError(thrown: unknown): Error | undefined;
}
