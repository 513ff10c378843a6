import type { ScriptPermissions } from "../config/script-permissions";

/** A script that is loaded: initialize_callbacks() has returned and clean() has not been called. */
export interface LoadedScript {
  /** The module handle: 1, 2, 3... in the order of loading, never used twice; a reload keeps it. */
  readonly handle: number;
  /** Module notation, such as "scripts.my_script"; the bare name of a file outside the script folders. */
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
  /** Absolute paths of everything compiled into it, the script itself included. */
  readonly files: readonly string[];
  /** The handles of the scripts it requires. */
  readonly requirements: readonly number[];
  /** 1 for the version that was loaded, one more after each reload. */
  readonly version: number;
  readonly permissions: ScriptPermissions;
}
