/** Where a script's code runs: in the sandbox, or, trusted, beside rebox itself. */
export interface ScriptRuntime {
  /**
   * Runs the script's top level.
   *
   * @returns its exports; the functions among them can be called from rebox
   * @throws whatever the script throws
   */
  run(): Readonly<Record<string, unknown>>;
  /** Tells the runtime its module handle, before initialize_callbacks() is called. */
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
   * @returns what the runtime of the next version is given
   * @throws Error when there is something in it that cannot be copied
   */
  copyHotData(): unknown;
  /** Makes an error that the script threw, in whatever realm, one of rebox's own; undefined when it is not the script's. */
  findError(thrown: unknown): Error | undefined;
}
