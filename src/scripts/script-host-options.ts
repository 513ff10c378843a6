import type { ScriptPermissions } from "../config/script-permissions";
import type { Doors } from "./loading/doors";
import type { LoadedScript } from "./script-registry";

/** Limits the time that a script's own functions take, in milliseconds. */
export interface ScriptLimits {
  /** The top level, initialize_callbacks, a command, a timer: until the function returns. */
  readonly callMs: number;
  /** initialize_callbacks and a command: until the promise that they return has settled. */
  readonly promiseMs: number;
  /** clean(), with its promise. */
  readonly cleanMs: number;
}

export const DEFAULT_SCRIPT_LIMITS: ScriptLimits = { callMs: 10_000, promiseMs: 60_000, cleanMs: 10_000 };

/** One text that a script printed. */
export interface ScriptMessage {
  readonly handle: number;
  readonly script: string;
  readonly text: string;
}

/** A script that was compiled. */
export interface CompiledScript {
  readonly file: string;
  /** Absolute paths of everything compiled into it. */
  readonly files: readonly string[];
  /** The texts that the compiler has read, by file; those of which no code is left are missing. */
  readTexts(): ReadonlyMap<string, string>;
}

/** The events of a script host. */
export interface ScriptHostEvents {
  message: [ScriptMessage];
  loaded: [LoadedScript];
  /** A new version has taken the place of an old one. */
  reloaded: [LoadedScript];
  unloaded: [LoadedScript];
  /** A script, or a new version of one, was compiled and begins; `beganMs`, since 1970, is before the first of its files was read. */
  compiled: [script: CompiledScript, beganMs: number];
  /** The scripts are made of more than before: one has attached a trigger, or a new version was refused. */
  sourcesChanged: [];
  /** An error in a script's timer or promise: outside any call of rebox. */
  strayError: [script: string, error: Error];
  /** Something odd that did not keep a script from being loaded; begins with file:line:column. */
  warning: [string];
}

/** The options of a script host. */
export interface ScriptHostOptions {
  /** Folders in which module notation is looked up, in this order; relative ones start at the current folder. */
  readonly folders: readonly string[];
  /** Returns what scripts can import of rebox; called when a script starts. */
  getApi(): Doors;
  /** Says what a script may do: by its module name and its absolute path. */
  getPermissions(name: string, file: string): ScriptPermissions;
  /** The scripts' `console`; the process's own by default. */
  readonly console?: Console;
  /** Limits of the scripts' own functions; DEFAULT_SCRIPT_LIMITS by default. */
  readonly limits?: Partial<ScriptLimits>;
  /** Called before a script's initialize_callbacks(), with its handle and its module name; not for a reload. */
  readonly onStart?: (handle: number, name: string) => void;
  /**
   * Called when a new version of a script is about to be initialised beside the old one.
   *
   * @returns undoes it: called when the new version has failed
   */
  readonly onReplace?: (handle: number) => () => void;
  /** Called once a script is gone, or failed to start, to dispose of all that is still registered under its handle. */
  readonly onUnload?: (handle: number) => void;
}
