/** What a script host is built with. */
export interface ScriptHostOptions {
  /** Folders in which module notation is looked up, in this order; relative ones start at the current folder. */
  readonly folders: readonly string[];
  /** Returns what `import ... from "rebox"` gives to every script; called when a script starts. */
  getApi(): object;
  /** The scripts' `console`; the process's own by default. */
  readonly console?: Console;
  /** How long a script's clean() may take, in milliseconds; 10,000 by default. */
  readonly cleanLimitMs?: number;
  /** Called before a script's initialize_callbacks(), with its handle and its module name. */
  readonly onStart?: (handle: number, name: string) => void;
  /** Called once a script is gone, or failed to start, to dispose whatever is still registered under its handle. */
  readonly onUnload?: (handle: number) => void;
}
