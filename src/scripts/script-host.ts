import { EventEmitter } from "node:events";
import type { LoadedScript } from "./loaded-script";
import { findRequirementCycle, type PendingScript } from "./pending-script";
import { ScriptError } from "./script-error";
import { ScriptFiles } from "./script-files";
import type { ScriptHostOptions } from "./script-host-options";
import type { ScriptMessage } from "./script-message";
import { ScriptProgram } from "./script-program";
import { findScriptPlace, getScriptStack } from "./script-stack";

const DEFAULT_CLEAN_LIMIT_MS = 10_000;

interface ScriptHostEvents {
  message: [ScriptMessage];
  loaded: [LoadedScript];
  unloaded: [LoadedScript];
  /** Something odd that did not keep a script from being loaded; begins with file:line:column. */
  warning: [string];
}

interface Entry extends LoadedScript {
  readonly program: ScriptProgram;
}

interface Pending extends PendingScript {
  files: readonly string[];
  requirements: number[];
  promise: Promise<Entry> | undefined;
}

/** Loads and unloads scripts, and knows which are loaded. */
export class ScriptHost extends EventEmitter<ScriptHostEvents> {
  private readonly files: ScriptFiles;
  private readonly entries = new Map<number, Entry>();
  private readonly pending = new Map<string, Pending>();
  /** Files that were asked for by name, not only as a requirement. */
  private readonly askedFor = new Set<string>();
  private lastHandle = 0;

  constructor(private readonly options: ScriptHostOptions) {
    super();
    this.files = new ScriptFiles(options.folders);
  }

  /** Lists the loaded scripts in the order of their handles. */
  list(): LoadedScript[] {
    return [...this.entries.values()].sort((a, b) => a.handle - b.handle);
  }

  /**
   * Loads a script, after the scripts it requires. A script that is loaded already stays as it is.
   *
   * @param pathOrName a file's path, or a name in module notation
   * @returns the script once its initialize_callbacks() has returned, and what that returned has settled
   * @throws ScriptError when it cannot be found, compiled or started; nothing of it, nor of a requirement that was
   *   loaded only for it, is left then
   */
  async load(pathOrName: string): Promise<LoadedScript> {
    const file = this.files.getFile(pathOrName);
    this.askedFor.add(file);
    try {
      return await this.loadFile(file);
    } catch (error) {
      this.askedFor.delete(file);
      throw error;
    }
  }

  /**
   * Unloads a script: calls its clean() and disposes what is left of it.
   *
   * @param handle the script's module handle
   * @throws ScriptError when the handle is unknown or another script requires this one (it stays loaded), and when its
   *   clean() throws or takes too long (it is unloaded all the same)
   */
  async unload(handle: number): Promise<void> {
    const entry = this.entries.get(handle);
    if (entry === undefined) {
      const handles = [...this.entries.keys()].join(", ") || "none";
      throw new ScriptError(`module ${handle}`, `no script has this handle; loaded are: ${handles}`);
    }
    const dependent = this.findDependent(handle, entry.file);
    if (dependent !== undefined) throw new ScriptError(entry.name, `${dependent} requires it; unload that first`);
    this.entries.delete(handle);
    this.askedFor.delete(entry.file);
    try {
      await entry.program.clean();
    } finally {
      this.options.onUnload?.(handle);
      this.emit("unloaded", entry);
    }
  }

  /**
   * Unloads every script, the last loaded first.
   *
   * @returns what went wrong; an empty list when every clean() returned
   */
  async unloadAll(): Promise<ScriptError[]> {
    const failures: ScriptError[] = [];
    for (const handle of [...this.entries.keys()].reverse()) {
      await this.unload(handle).catch((error: ScriptError) => failures.push(error));
    }
    return failures;
  }

  /**
   * Finds the script in whose code an error arose, for errors that surface outside any callback (timers, promises).
   *
   * @param thrown what was thrown
   * @returns the script's name; scripts that are being loaded count too
   */
  findOrigin(thrown: unknown): string | undefined {
    const scripts = [...this.entries.values(), ...this.pending.values()];
    return scripts.find((script) => findScriptPlace(thrown, script.files) !== undefined)?.name;
  }

  /**
   * Returns the stack of an error, up to the outermost frame of the script it comes from.
   *
   * @param thrown what was thrown
   */
  getStack(thrown: unknown): string {
    return getScriptStack(
      thrown,
      [...this.entries.values(), ...this.pending.values()].flatMap(({ files }) => files),
    );
  }

  private async loadFile(file: string): Promise<Entry> {
    const loaded = [...this.entries.values()].find((entry) => entry.file === file);
    if (loaded !== undefined) return loaded;
    const name = this.files.getName(file);
    const pending: Pending = this.pending.get(file) ?? {
      name,
      file,
      waitsFor: undefined,
      files: [],
      requirements: [],
      promise: undefined,
    };
    this.pending.set(file, pending);
    pending.promise ??= this.start(pending).finally(() => this.pending.delete(file));
    return pending.promise;
  }

  private async start(pending: Pending): Promise<Entry> {
    const { name, file } = pending;
    const program = await ScriptProgram.compile(name, file, this.options.cleanLimitMs ?? DEFAULT_CLEAN_LIMIT_MS);
    pending.files = program.files;
    for (const warning of program.warnings) this.emit("warning", warning);
    const required = program.evaluate(this.options.getApi(), this.options.console ?? console);
    const handleBefore = this.lastHandle;
    try {
      for (const requirement of required) await this.loadRequired(requirement, pending);
      return await this.initialize(program, pending.requirements);
    } catch (error) {
      pending.requirements = [];
      await this.unloadUnneeded(handleBefore);
      throw error;
    }
  }

  private async initialize(program: ScriptProgram, requirements: readonly number[]): Promise<Entry> {
    const { name, file, files } = program;
    const handle = ++this.lastHandle;
    this.options.onStart?.(handle, name);
    try {
      await program.initialize(handle, (text) => this.emit("message", { handle, script: name, text }));
    } catch (error) {
      this.options.onUnload?.(handle);
      throw error;
    }
    const entry: Entry = { handle, name, file, files, requirements, program };
    this.entries.set(handle, entry);
    this.emit("loaded", entry);
    return entry;
  }

  private async loadRequired(required: string, pending: Pending): Promise<void> {
    const { name, file } = pending;
    let requiredFile: string;
    try {
      requiredFile = this.files.getFile(required);
    } catch (error) {
      throw new ScriptError(name, `it requires ${(error as ScriptError).message}`, { file });
    }
    const nameOf = (next: string) => this.files.getName(next);
    const cycle = findRequirementCycle(this.pending, pending, requiredFile, nameOf);
    if (cycle !== undefined) {
      const problem = `scripts require each other in a circle: ${cycle}; remove one of these requirements`;
      throw new ScriptError(name, problem, { file });
    }
    pending.waitsFor = requiredFile;
    try {
      pending.requirements.push((await this.loadFile(requiredFile)).handle);
    } finally {
      pending.waitsFor = undefined;
    }
  }

  /** Unloads what was loaded since `handleBefore` and that nobody needs or asked for, dependents before requirements. */
  private async unloadUnneeded(handleBefore: number): Promise<void> {
    for (const { handle, file } of this.list().reverse()) {
      if (handle <= handleBefore || this.askedFor.has(file) || this.findDependent(handle, file) !== undefined) continue;
      await this.unload(handle).catch((error: ScriptError) => this.emit("warning", error.message));
    }
  }

  /** Returns the name of a script, loaded or being loaded, that requires this one. */
  private findDependent(handle: number, file: string): string | undefined {
    const loading = [...this.pending.values()].find(
      (script) => script.waitsFor === file || script.requirements.includes(handle),
    );
    return loading?.name ?? this.list().find((script) => script.requirements.includes(handle))?.name;
  }
}
